"""What verifying pictures costs, whose it pays and whose it refuses.

Run: python benchmarks/verification/images.py [--pictures N] [--keep FOLDER] [--elsewhere FOLDER] [--docs FILE]

A verifier that holds the shipped model in float32 and in bfloat16, on a CPU, judges pictures that were made in each way
by the shipped calibration, which was measured on other prompts and seeds. Every cheat draws in either dtype, declares
either, and is shown by what serves it best. Single steps are judged on all links of all chains first; audits are then
drawn from those, as the image subnet draws links. What is drawn (half an hour of CPU) is kept: an interrupted run
goes on from there.

Of honest miners on another kind of machine: run it there with `--draw --keep FOLDER`, here with `--elsewhere FOLDER`.
With ONEDNN_MAX_CPU_ISA=AVX512_CORE in the environment this machine is one without bfloat16 instructions.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pictures import ONE_SKIPPED, ONE_STEP, cheap, wrong_chains
from rich.console import Console
from rich.table import Table

from ranvier.engines.image.calibration import Calibration, Judgement, load_calibration
from ranvier.engines.image.kept import Kept
from ranvier.engines.image.model import SCENES, load_image
from ranvier.engines.image.runs import BATCH, Latents, Pictures, Runs
from ranvier.engines.models import DecodeRequest, StepRequest
from ranvier.engines.store import home
from ranvier.subnets.image import ImageSettings
from ranvier.subnets.verification import draw_links

BEGIN, END = "<!-- begin: python benchmarks/verification/images.py -->", "<!-- end -->"
WITHIN = 20
"""Audited pictures within which spot checks have to catch a cheat."""
PROMPT_SEED = 77
SAME_PROMPT = 2
"""Pictures of one prompt."""


@dataclass(frozen=True)
class Line:
    """One figure beside its bar."""

    name: str
    value: str
    bar: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Court:
    """What the subnet says of pictures and links, by the dtype that their miner declares."""

    runs: Runs
    known: Calibration

    def pictures(self, drawn: Pictures, declared: str, verifier: str | None = None) -> list[Judgement]:
        """Of each; the verifier's dtype is that of the miner unless another is named."""
        dtype = verifier or declared
        return [self.known.judge(apart, declared, dtype) for apart in self.runs.against(dtype, drawn)]

    def links(
        self, name: str, chains: Latents, declared: str, verifier: str | None = None
    ) -> list[list[Judgement]]:
        """Of every link of every chain."""
        dtype = verifier or declared
        return [
            [
                self.known.judge_link(number, float(mean), float(high), declared, dtype)
                for number, (mean, high) in enumerate(chain)
            ]
            for chain in self.runs.apart(name, chains, dtype)
        ]


def share(found: Sequence[bool]) -> float:
    """Of all."""
    return sum(found) / len(found)


def honest_lines(court: Court) -> list[Line]:
    """Everybody who computes as declared is to be paid. And what if a verifier held one dtype only?"""
    lines = []
    for dtype in court.known.dtypes:
        for way, drawn in court.runs.honest(dtype).items():
            paid = share([one == "same" for one in court.pictures(drawn, dtype)])
            lines.append(Line(f"honest, {dtype}, {way}: paid", f"{paid:.4f}", "1", paid == 1))
    for miner, verifier in itertools.permutations(court.known.dtypes, 2):
        paid = share([one == "same" for one in court.pictures(court.runs.by(miner), miner, verifier)])
        lines.append(Line(f"honest, {miner}, if it were verified in {verifier}: paid", f"{paid:.4f}"))
    return lines


def elsewhere_lines(court: Court, there: Kept | None) -> list[Line]:
    """Honest miners on another kind of machine, if there are any."""
    lines = []
    for dtype in court.known.dtypes if there else ():
        found = court.pictures(there.get(f"batches of 16 {dtype}", _missing), dtype)
        paid, proof = (share([one == word for one in found]) for word in ("same", "other"))
        lines.append(
            Line(
                f"honest, {dtype}, on another kind of machine: paid (called proof {proof:.2f})", f"{paid:.4f}"
            )
        )
    return lines


def _missing() -> Pictures:
    raise SystemExit(
        "--elsewhere: draw there first, with --draw and the same model, torch and number of pictures"
    )


def cheat_lines(court: Court) -> list[Line]:
    """Nobody who does not is to be."""
    lines = []
    by_dtype = [dict(cheap(court.runs, dtype)) for dtype in court.known.dtypes]
    for way in by_dtype[0]:
        found = [
            court.pictures(drawn[way], declared) for drawn in by_dtype for declared in court.known.dtypes
        ]
        refused = min(share([one != "same" for one in row]) for row in found)
        proof = min(share([one == "other" for one in row]) for row in found)
        lines.append(
            Line(f"{way}: refused (proof {proof:.2f})", f"{refused:.4f}", ">= 0.99", refused >= 0.99)
        )
    for miner, verifier in itertools.permutations(court.known.dtypes, 2):
        found = [court.pictures(drawn[ONE_STEP], miner, verifier) for drawn in by_dtype]
        refused = min(share([one != "same" for one in row]) for row in found)
        lines.append(
            Line(
                f"{ONE_STEP}, declared {miner}, if it were verified in {verifier}: refused", f"{refused:.4f}"
            )
        )
    return lines


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


def step_lines(court: Court) -> list[Line]:
    """Spot checks: honest chains pass whatever is drawn, wrong ones are met sooner or later."""
    lines, checks, dtypes = [], ImageSettings().checks, court.known.dtypes
    for miner in dtypes:
        found = court.links(f"chains {miner}", court.runs.chains(miner), miner)
        passed = share([link == "same" for chain in found for link in chain])
        lines.append(Line(f"honest chains, {miner}: links that pass", f"{passed:.4f}", "1", passed == 1))
    by_dtype = {dtype: dict(wrong_chains(court.runs, dtype)) for dtype in dtypes}
    for name in by_dtype[dtypes[0]]:
        found = [
            court.links(f"{name} {dtype}", chains[name], declared)
            for dtype, chains in by_dtype.items()
            for declared in dtypes
        ]
        if name != ONE_SKIPPED:
            lines.append(wrong_line(name, found, checks, barred=True))
            continue
        steps = len(found[0][0])
        by_step = [one[first :: steps - 2] for one in found for first in range(steps - 2)]
        # The late steps are seldom drawn: who minds them checks every link.
        lines.append(wrong_line(name, by_step, checks, barred=False))
        lines.append(wrong_line(name, by_step, steps, barred=True))
    return lines


def wrong_line(
    name: str, found: Sequence[Sequence[Sequence[Judgement]]], checks: int, *, barred: bool
) -> Line:
    """What becomes of chains with wrong links, drawn and declared as serves them best."""
    rows = [audits(one, checks) for one in found]
    passed, caught = max(row[0] for row in rows), min(row[1] for row in rows)
    return Line(
        f"{name}, {checks} links: proven within {WITHIN} audits (an audit refuses {1 - passed:.2f})",
        f"{caught:.4f}",
        ">= 0.99" if barred else "",
        caught >= 0.99 if barred else None,
    )


def cost_lines(court: Court) -> list[Line]:
    """CPU time of both audits, in batches of 16."""
    dtype = court.known.dtypes[0]
    model, asked = court.runs.models[dtype], court.runs.asked[: 4 * BATCH]
    traced = [one for one in model.trace(asked) if not isinstance(one, ValueError)]

    def seconds(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    again = min(seconds(lambda: model.generate(asked)) for _ in range(2))
    steps = asked[0].steps
    last = [DecodeRequest(one.latents[-1], asked[0].width, asked[0].height) for one in traced]

    def spot(checks: int) -> float:
        rng = random.Random(0)
        drawn = [
            StepRequest(one, link, made.latents[link - 1] if link else b"")
            for one, made in zip(asked, traced, strict=True)
            for link in draw_links(rng, steps, checks)
        ]
        return min(seconds(lambda: (model.steps(drawn), model.decode(last))) for _ in range(2))

    spots = {checks: spot(checks) for checks in (ImageSettings().checks, steps)}
    size = sum(map(len, traced[0].latents))
    held = {one: court.runs.models[one].pipeline for one in court.known.dtypes}
    return [
        Line("drawing again against drawing, in batches", "1.000"),
        *(
            Line(f"a spot check of {checks} of {steps} steps against drawing", f"{spent / again:.3f}")
            for checks, spent in spots.items()
        ),
        Line("bytes that a spot check opens, against the picture", f"{size} / {len(traced[0].png)}"),
        *(
            Line(f"MiB of weights in {one}", f"{weights(pipeline) / 2**20:.1f}")
            for one, pipeline in held.items()
        ),
    ]


def weights(pipeline: object) -> int:
    """Bytes."""
    parts = [one for one in vars(pipeline).values() if isinstance(one, torch.nn.Module)]
    return sum(one.numel() * one.element_size() for part in parts for one in part.parameters())


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
    parser.add_argument(
        *("--keep",),
        type=Path,
        default=home() / "benchmarks" / "images",
        help="folder for what is drawn: some 300 MB of 200 pictures; delete it to draw anew",
    )
    parser.add_argument("--draw", action="store_true", help="only draw what --elsewhere takes, and keep it")
    parser.add_argument("--elsewhere", type=Path, help="folder of --keep from another kind of machine")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--docs", type=Path, help="put the table into this page, between its marks")
    options = parser.parse_args()
    console = Console(width=max(120, Console().width))
    torch.set_num_threads(1)
    known = load_calibration()
    models = {dtype: load_image(SCENES, dtype=dtype) for dtype in known.dtypes}
    name = f"{known.digest[:12]}-torch-{torch.__version__}-{options.pictures}"

    def runs(folder: Path) -> Runs:
        prompts = options.pictures // SAME_PROMPT
        return Runs(models, prompts, SAME_PROMPT, rng_seed=PROMPT_SEED, kept=Kept(folder / name))

    court = Court(runs(options.keep), known)
    if options.draw:
        console.print(
            f"{sum(len(court.runs.by(dtype)) for dtype in known.dtypes)} pictures are in {options.keep}"
        )
        return 0
    there = Kept(options.elsewhere / name) if options.elsewhere else None
    lines: list[Line] = []
    for part in (
        honest_lines,
        lambda court: elsewhere_lines(court, there),
        cheat_lines,
        step_lines,
        cost_lines,
    ):
        lines += part(court)
        console.print(f"{lines[-1].name}: {lines[-1].value}", style="dim")
    shown(lines, console)
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    if options.docs:
        documented(lines, options.docs, len(court.runs.asked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
