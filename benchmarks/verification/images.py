"""What verifying pictures costs, whose it pays and whose it refuses.

Run: python benchmarks/verification/images.py [--pictures N] [--json FILE] [--docs FILE]

One verifier (the shipped model in float32 on a CPU) judges pictures that were made in each way by the shipped
calibration, which was measured on other prompts and seeds. Cheats declare whichever dtype serves them best. Single
steps are judged on all links of all chains first; audits are then drawn from those, as the image subnet draws links.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from ranvier.engines.image.calibration import Calibration, Judgement, load_calibration
from ranvier.engines.image.distance import distance
from ranvier.engines.image.gate import BATCH, Bench, rescaled
from ranvier.engines.image.model import SCENES, DiffusersImageModel, load_image
from ranvier.engines.image.png import Pixels, read_png
from ranvier.engines.image.schedule import noise_shares
from ranvier.engines.models import DecodeRequest, ImageRequest, StepRequest
from ranvier.subnets.image import ImageSettings
from ranvier.subnets.verification import draw_links

BEGIN, END = "<!-- begin: python benchmarks/verification/images.py -->", "<!-- end -->"
WITHIN = 20
"""Audited pictures within which spot checks have to catch a cheat."""
Chains = Any


@dataclass(frozen=True)
class Line:
    """One figure beside its bar."""

    name: str
    value: str
    bar: str = ""
    met: bool | None = None


def judged(bench: Bench, known: Calibration, drawn: Sequence[Pixels], dtype: str) -> list[Judgement]:
    """What the subnet says of each picture."""
    return [known.judge(distance(one, ours), dtype) for one, ours in zip(drawn, bench.drawn, strict=True)]


def share(found: Sequence[bool]) -> float:
    """Of all."""
    return sum(found) / len(found)


def honest_lines(bench: Bench, known: Calibration, models: Mapping[str, DiffusersImageModel]) -> list[Line]:
    """Everybody who computes as declared is to be paid."""
    lines = []
    for dtype, model in models.items():
        for kind, drawn in bench.honest(model).items():
            paid = share([one == "same" for one in judged(bench, known, drawn, dtype)])
            lines.append(Line(f"honest, {dtype}, {kind}: paid", f"{paid:.4f}", "1", paid == 1))
    return lines


def cheats(bench: Bench, model: DiffusersImageModel) -> dict[str, Callable[[], list[Pixels]]]:
    """Ways to save work, by name."""
    asked = bench.asked

    def seeded(change: Callable[[ImageRequest, int], bytes]) -> list[Pixels]:
        return bench.draw(
            [replace(one, seed=change(one, place)) for place, one in enumerate(asked)], BATCH, model
        )

    def mislabelled() -> list[Pixels]:
        """Drawn in one step, with a file that tells of all of them."""
        first = asked[0]
        drawn = bench.changed(lambda one: replace(one, steps=1))
        return [read_png(model.encode(one, first.steps), first.width, first.height) for one in drawn]

    return {
        "one step fewer": lambda: bench.changed(lambda one: replace(one, steps=one.steps - 1)),
        "half the steps": lambda: bench.changed(lambda one: replace(one, steps=one.steps // 2)),
        "no guidance": lambda: bench.changed(lambda one: replace(one, guidance=1.0)),
        "other seed": lambda: seeded(lambda one, place: hashlib.sha256(one.seed).digest()),
        "other prompt": lambda: bench.changed(
            lambda one: replace(one, prompt="a red circle on a plain white ground")
        ),
        "other model (weights of 4 bits)": lambda: bench.draw(asked, BATCH, rounded(4)),
        "cached picture": lambda: bench.drawn[bench.seeds :] + bench.drawn[: bench.seeds],
        "cached picture of the same prompt": lambda: seeded(
            lambda one, place: hashlib.sha256(one.prompt.encode()).digest()
        ),
        "half the size, enlarged": lambda: [rescaled(one) for one in bench.drawn],
        "right metadata, wrong picture": mislabelled,
        "relay (the seed of another pair of hotkeys)": lambda: seeded(
            lambda one, place: hashlib.sha256(one.seed + b"relay").digest()
        ),
        "seed from the body (not bound to the hotkeys)": lambda: seeded(
            lambda one, place: hashlib.sha256(b"challenge" + place.to_bytes(4, "big")).digest()
        ),
    }


def rounded(bits: int) -> DiffusersImageModel:
    """The model with its matrices rounded, each row by a scale of its own."""
    model = load_image(SCENES)
    most = 2 ** (bits - 1) - 1
    with torch.no_grad():
        for weights in model.pipeline.unet.parameters():
            if weights.dim() > 1:
                scale = weights.abs().flatten(1).amax(1).clamp(min=1e-8) / most
                scale = scale.reshape(-1, *[1] * (weights.dim() - 1))
                weights.copy_((weights / scale).round() * scale)
    return model


def cheat_lines(bench: Bench, known: Calibration, model: DiffusersImageModel) -> list[Line]:
    """Nobody who does not is to be."""
    lines = []
    for name, draw in cheats(bench, model).items():
        drawn = draw()
        by_dtype = {dtype: judged(bench, known, drawn, dtype) for dtype in known.miners}
        refused = min(share([one != "same" for one in found]) for found in by_dtype.values())
        proof = min(share([one == "other" for one in found]) for found in by_dtype.values())
        lines.append(
            Line(f"{name}: refused (proof {proof:.2f})", f"{refused:.4f}", ">= 0.99", refused >= 0.99)
        )
    return lines


def link_judgements(known: Calibration, chains: Chains, again: Chains, dtype: str) -> list[list[Judgement]]:
    """Of every link of every chain."""
    apart = np.abs(chains[:, 1:].astype(np.float64) - again)
    return [
        [
            known.judge_link(number, float(link.mean()), float(np.percentile(link, 99)), dtype)
            for number, link in enumerate(chain)
        ]
        for chain in apart
    ]


def skipped(bench: Bench, model: DiffusersImageModel, left_out: Sequence[int]) -> Chains:
    """Chains with some steps (from 2 on) not made, but gone straight on from the one before."""
    steps, shares = bench.asked[0].steps, noise_shares(bench.asked[0].steps)
    chain = [bench.chains(model)[:, 0]]
    for number in range(steps):
        if number not in left_out:
            made = model.steps(
                [
                    StepRequest(one, number, chain[-1][row].astype("<f4").tobytes())
                    for row, one in enumerate(bench.asked)
                ]
            )
            chain.append(np.array([np.frombuffer(one, "<f4") for one in made if isinstance(one, bytes)]))
            continue
        past, ahead = shares[number] / shares[number - 1], shares[number + 1] / shares[number]
        clean = (chain[-1] - past * chain[-2]) / (1 - past)
        chain.append((clean + ahead * (chain[-1] - clean)).astype(np.float32))
    return np.stack(chain, axis=1)


def spliced(bench: Bench, model: DiffusersImageModel) -> Chains:
    """True chains of another seed after true noise."""
    chains = bench.chains(model)
    before, bench.asked = (
        bench.asked,
        [replace(one, seed=hashlib.sha256(one.seed).digest()) for one in bench.asked],
    )
    try:
        other = bench.chains(model)
    finally:
        bench.asked = before
    return np.concatenate([chains[:, :1], other[:, 1:]], axis=1)


def audits(found: Sequence[Sequence[Judgement]], checks: int, *, seed: int = 0) -> tuple[float, float]:
    """Shares of single audits that pass, and of miners that are proven within `WITHIN` audits; 4,000 of each."""
    rng, trials = random.Random(seed), 4000

    def audit() -> tuple[bool, bool]:
        chain = rng.choice(found)
        met = [chain[link] for link in draw_links(rng, len(chain), checks)]
        return all(one == "same" for one in met), "other" in met

    passed = share([audit()[0] for _ in range(trials)])
    caught = share([any(audit()[1] for _ in range(WITHIN)) for _ in range(trials)])
    return passed, caught


def step_lines(bench: Bench, known: Calibration, models: Mapping[str, DiffusersImageModel]) -> list[Line]:
    """Spot checks: honest chains pass whatever is drawn, wrong ones are met sooner or later."""
    lines, checks, model = [], ImageSettings().checks, bench.model
    for dtype, one in models.items():
        chains = bench.chains(one)
        found = link_judgements(known, chains, bench.again(chains), dtype)
        passed = share([link == "same" for chain in found for link in chain])
        lines.append(Line(f"honest chains, {dtype}: links that pass", f"{passed:.4f}", "1", passed == 1))
    steps = bench.asked[0].steps
    wrong = {
        "chain of another seed (cached, or relayed)": spliced(bench, model),
        "every second step skipped": skipped(bench, model, range(2, steps, 2)),
        "one step skipped": skipped(bench, model, [steps // 2]),
    }
    for name, chains in wrong.items():
        again = bench.again(chains)
        rows = [audits(link_judgements(known, chains, again, dtype), checks) for dtype in known.miners]
        passed, caught = max(row[0] for row in rows), min(row[1] for row in rows)
        only = name == "one step skipped"
        lines.append(
            Line(
                f"{name}, {checks} links: proven within {WITHIN} audits (an audit refuses {1 - passed:.2f})",
                f"{caught:.4f}",
                "" if only else ">= 0.99",
                None if only else caught >= 0.99,
            )
        )
    return lines


def cost_lines(bench: Bench) -> list[Line]:
    """CPU time of both audits, in batches of 16."""
    model, asked, checks = bench.model, bench.asked[: 4 * BATCH], ImageSettings().checks
    traced = [one for one in model.trace(asked) if not isinstance(one, ValueError)]

    def seconds(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    again = min(seconds(lambda: model.generate(asked)) for _ in range(2))
    rng, steps = random.Random(0), asked[0].steps
    drawn = [
        StepRequest(one, link, made.latents[link - 1] if link else b"")
        for one, made in zip(asked, traced, strict=True)
        for link in draw_links(rng, steps, checks)
    ]
    last = [DecodeRequest(one.latents[-1], asked[0].width, asked[0].height) for one in traced]
    spot = min(seconds(lambda: (model.steps(drawn), model.decode(last))) for _ in range(2))
    size = sum(map(len, traced[0].latents))
    return [
        Line("drawing again against drawing, in batches", "1.000"),
        Line(f"a spot check of {checks} of {steps} steps against drawing", f"{spot / again:.3f}"),
        Line("bytes that a spot check opens, against the picture", f"{size} / {len(traced[0].png)}"),
    ]


def shown(lines: Sequence[Line], console: Console) -> None:
    """The table."""
    table = Table("figure", "value", "bar", "met")
    for line in lines:
        table.add_row(line.name, line.value, line.bar, {True: "met", False: "NOT MET", None: ""}[line.met])
    console.print(table)


def documented(lines: Sequence[Line], page: Path, pictures: int) -> None:
    """Put the table between the page's marks. Raises ValueError for a page without them."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN!r} and {END!r}")
    made = f"{pictures} pictures of each kind; torch {torch.__version__}; {platform.machine()}"
    rows = [
        f"| {one.name} | {one.value} | {one.bar} | {'' if one.met is None else 'met' if one.met else '**not met**'} |"
        for one in lines
    ]
    table = "\n".join([made, "", "| figure | value | bar | |", "|---|---|---|---|", *rows])
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def main() -> int:
    """Draw, judge, print."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/verification/images.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--pictures", type=int, default=200, help="of each kind; a multiple of 2")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--docs", type=Path, help="put the table into this page, between its marks")
    options = parser.parse_args()
    console = Console(width=max(120, Console().width))
    torch.set_num_threads(1)
    known = load_calibration()
    models = {dtype: load_image(SCENES, dtype=dtype) for dtype in known.miners}
    bench = Bench(models[known.dtype], options.pictures // 2, 2, rng_seed=77)
    lines = []
    for part in (
        lambda: honest_lines(bench, known, models),
        lambda: cheat_lines(bench, known, bench.model),
        lambda: step_lines(bench, known, models),
        lambda: cost_lines(bench),
    ):
        lines += part()
        console.print(f"{lines[-1].name}: {lines[-1].value}", style="dim")
    shown(lines, console)
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    if options.docs:
        documented(lines, options.docs, len(bench.asked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
