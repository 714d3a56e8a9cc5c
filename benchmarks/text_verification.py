"""What verifying a text answer costs beside making it, and how far honest work and cheats lie apart.

    python benchmarks/text_verification.py [--model smollm2] [--prompts 24] [--json FILE]

Honest and cheating generations of the same prompts are judged by one batched prefill each, in turn, in one process
with one thread; times are CPU seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ranvier.engines import Generation, Message, Sampling, ScoreRequest, TextRequest
from ranvier.engines.load import Loader, Spec
from ranvier.subnets.text.evidence import Pool, shipped_thresholds
from ranvier.subnets.text.families import compose

TOKENS = 48
TEMPERATURE = 0.9
Make = Callable[[Sequence[TextRequest]], list[Generation]]


@dataclass(frozen=True)
class Row:
    """One way of answering: cost, share of seeded choices and mean margin over informative tokens."""

    name: str
    tokens: int
    generate_seconds: float
    verify_seconds: float
    share: float
    margin: float


def requests(count: int) -> list[TextRequest]:
    """The subnet's own prompts under fixed seeds."""
    rng = random.Random(1)
    made = []
    for number in range(count):
        seed = hashlib.sha256(b"benchmark" + bytes([number])).digest()
        text = compose(rng).text
        made.append(TextRequest((Message("user", text),), Sampling(TOKENS, TEMPERATURE, seed=seed)))
    return made


def measure(name: str, make: Make, judge: Any, asked: Sequence[TextRequest]) -> Row:
    """Generate in one batch, verify in another."""
    start = time.process_time()
    made = make(asked)
    generated = time.process_time()
    scored = [
        ScoreRequest(one.messages, one.sampling, answer.token_ids)
        for one, answer in zip(asked, made, strict=True)
    ]
    evidence = judge.score(scored)
    verified = time.process_time()
    limits = shipped_thresholds().model_copy(update={"window": 10**6})
    pool = Pool()
    for answer, found in zip(made, evidence, strict=True):
        pool = pool.add(found, answer.token_ids, limits)
    tokens = sum(len(answer.token_ids) for answer in made)
    return Row(name, tokens, generated - start, verified - generated, pool.share, pool.margin)


def ways(model: Any, pruned: Any) -> dict[str, Make]:
    """Honest work, alone and in batches, and the cheats."""

    def one_by_one(asked: Sequence[TextRequest]) -> list[Generation]:
        return [model.generate([one])[0] for one in asked]

    def sampled(**how: Any) -> Make:
        return lambda asked: model.generate(
            [replace(one, sampling=replace(one.sampling, **how)) for one in asked]
        )

    return {
        "honest, one batch": model.generate,
        "honest, one at a time": one_by_one,
        "pruned to 26 of 30 layers": pruned.generate,
        "temperature 0.8 instead of 0.9": sampled(temperature=0.8),
        "greedy": sampled(temperature=0.0),
        "another seed (relay, replay)": sampled(seed=b"x" * 32),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    model, pruned = Loader().load([Spec("text", chosen.model), Spec("text", f"{chosen.model}-pruned")])
    asked = requests(chosen.prompts)
    model.generate(asked[:2])
    rows = [measure(name, make, model, asked) for name, make in ways(model, pruned).items()]
    table = Table(
        title=f"{model.info.id} {model.info.dtype}, {chosen.prompts} prompts, temperature {TEMPERATURE}"
    )
    for heading in (
        "answered by",
        "tokens",
        "tokens per CPU s",
        "verify / generate",
        "equal share",
        "mean margin",
    ):
        table.add_column(heading, justify="left" if heading == "answered by" else "right")
    for row in rows:
        table.add_row(
            row.name, str(row.tokens), f"{row.tokens / row.generate_seconds:.0f}",
            f"{row.verify_seconds / row.generate_seconds:.2f}", f"{row.share:.3f}", f"{row.margin:.4f}",
        )  # fmt: skip
    Console().print(table)
    if chosen.json:
        chosen.json.write_text(json.dumps([row.__dict__ for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
