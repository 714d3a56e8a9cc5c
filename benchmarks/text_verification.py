"""What seeded sampling sees: share of seeded choices and mean margin, for honest and for other computations.

Run: python benchmarks/text_verification.py [--prompts N] [--tokens N] [--seed N] [--json FILE]

One verifier (the prepared SmolLM2-135M-Instruct in bfloat16) scores, in one batched prefill each, answers that were
made in different ways. Only informative tokens count, as in the text subnet. `share` and `margin` are over all tokens
of a row of the table; `worst` columns are the worst pool of 96 tokens in a row, drawn in the order they came.
`cost` is seconds of the prefill over seconds of generating the batch, for honest answers.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import platform
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from ranvier.engines import Message, Sampling, ScoreRequest, TextRequest, TokenEvidence
from ranvier.engines.store import Store
from ranvier.engines.text.model import CausalText
from ranvier.engines.text.network import Network
from ranvier.subnets.text.evidence import Pool, shipped_thresholds
from ranvier.subnets.text.families import compose

POOL = 96
LIMITS = shipped_thresholds()
EVERYTHING = LIMITS.model_copy(update={"window": 1 << 30})
Ids = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One way of answering. ``tokens`` are informative ones; ``seconds`` is what making the answers took."""

    name: str
    tokens: int
    share: float
    margin: float
    worst_share: float
    worst_margin: float
    seconds: float


def requests(count: int, tokens: int, seed: int) -> list[TextRequest]:
    """Prompts of the subnet's own families, each under a seed of its own."""
    rng = random.Random(seed)
    return [
        TextRequest(
            (Message("user", compose(rng).text),),
            Sampling(tokens, 0.9, seed=hashlib.sha256(rng.randbytes(8)).digest()),
        )
        for _ in range(count)
    ]


def quantised(network: Network, bits: int) -> Network:
    """The same model with every linear weight rounded to ``bits`` bits, one scale for each output row."""
    model = copy.deepcopy(network._model)  # noqa: SLF001  the benchmark plays an engine that cheats
    levels = 2 ** (bits - 1) - 1
    for module in model.model.layers.modules():
        if isinstance(module, torch.nn.Linear):
            weight = module.weight.data.float()
            scale = weight.abs().amax(dim=1, keepdim=True) / levels
            module.weight.data = ((weight / scale).round() * scale).to(module.weight.dtype)
    return Network(model, network._tokenizer, "", network.dtype, network.device)  # noqa: SLF001


def evidence(
    verifier: CausalText, asked: Sequence[TextRequest], answers: Sequence[Ids]
) -> list[TokenEvidence]:
    """One batched prefill for every 16 answers."""
    wanted = [ScoreRequest(one.messages, one.sampling, ids) for one, ids in zip(asked, answers, strict=True)]
    return [
        seen for start in range(0, len(wanted), 16) for seen in verifier.score(wanted[start : start + 16])
    ]


def measure(name: str, seconds: float, seen: Sequence[TokenEvidence], answers: Sequence[Ids]) -> Row:
    """Pool the evidence of all answers, and find the worst pool."""
    pool = Pool()
    for one, ids in zip(seen, answers, strict=True):
        pool = pool.add(one, ids, EVERYTHING)
    starts = range(max(1, pool.tokens - POOL + 1))
    parts = [Pool(pool.equal[place : place + POOL], pool.margins[place : place + POOL]) for place in starts]
    worst = min(part.share for part in parts), max(part.margin for part in parts)
    return Row(name, pool.tokens, pool.share, pool.margin, *worst, seconds)


def in_batches(model: CausalText, size: int) -> Callable[[Sequence[TextRequest]], list[Ids]]:
    """Answer as an engine does that batches ``size`` requests."""

    def answer(asked: Sequence[TextRequest]) -> list[Ids]:
        return [
            made.token_ids
            for start in range(0, len(asked), size)
            for made in model.generate(asked[start : start + size])
        ]

    return answer


def cooler(model: CausalText) -> Callable[[Sequence[TextRequest]], list[Ids]]:
    """Answer at half the temperature."""

    def answer(asked: Sequence[TextRequest]) -> list[Ids]:
        cold = [replace(one, sampling=replace(one.sampling, temperature=0.45)) for one in asked]
        return in_batches(model, 16)(cold)

    return answer


def ways(network: Network) -> dict[str, Callable[[Sequence[TextRequest]], list[Ids]]]:
    """How answers are made, from honest to cheapest."""
    honest = CausalText("smollm2", network)
    other = Network.load(str(Store().path("smollm2")), dtype="float32", device="cpu")
    layers = network.layers * 13 // 15
    return {
        "honest, batches of 16": in_batches(honest, 16),
        "honest, batches of 5": in_batches(honest, 5),
        "honest, one by one": in_batches(honest, 1),
        "the declared model in float32": in_batches(CausalText("float32", other), 16),
        "8-bit weights": in_batches(CausalText("int8", quantised(network, 8)), 16),
        "4-bit weights": in_batches(CausalText("int4", quantised(network, 4)), 16),
        "half the temperature": cooler(honest),
        f"{layers} of {network.layers} layers": in_batches(CausalText("pruned", network.pruned(layers)), 16),
        "another's answers (relay, replay, constant)": lambda asked: in_batches(honest, 16)(
            [*asked[1:], asked[0]]
        ),
    }


def show(rows: Sequence[Row], cost: float, report: Console) -> None:
    """The table, and what verifying costs."""
    table = Table(
        "way of answering", "tokens", "share", "margin", f"worst share of {POOL}", f"worst margin of {POOL}"
    )
    for row in rows:
        table.add_row(
            row.name, str(row.tokens), f"{row.share:.3f}", f"{row.margin:.4f}", f"{row.worst_share:.3f}",
            f"{row.worst_margin:.4f}",
        )  # fmt: skip
    report.print(table)
    report.print(f"verifying costs {cost:.2f} of generating in batches of 16")
    report.print(
        f"limits at {POOL} tokens: share {LIMITS.lowest_share(POOL):.3f}, margin {LIMITS.highest_margin(POOL):.4f}; at "
        f"{LIMITS.window}: {LIMITS.share}, {LIMITS.margin}; caught: {LIMITS.caught_share}, {LIMITS.caught_margin}"
    )


def main() -> None:
    """Measure and print; with ``--json`` also write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    network = Network.load(str(Store().path("smollm2")), dtype="bfloat16", device="cpu")
    verifier, asked = CausalText("smollm2", network), requests(chosen.prompts, chosen.tokens, chosen.seed)
    rows: list[Row] = []
    cost = 0.0
    for name, answer in ways(network).items():
        started = time.perf_counter()
        answers = answer(asked)
        made = time.perf_counter()
        seen = evidence(verifier, asked, answers)
        cost = cost or (time.perf_counter() - made) / (made - started)
        rows.append(measure(name, made - started, seen, answers))
    show(rows, cost, Console(width=120))
    if chosen.json:
        facts: dict[str, Any] = {"machine": platform.platform(), "torch": torch.__version__, "cost": cost}
        chosen.json.write_text(json.dumps({**facts, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
