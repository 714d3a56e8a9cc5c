"""What verifying text costs, whom it pays and whom it catches.

Run: python benchmarks/verification [--answers N] [--cheats N] [--int8 N] [--miners N] [--turns N] [--docs FILE]

One verifier (the prepared SmolLM2-135M-Instruct in bfloat16 on a CPU) judges answers that were made in each way by one
batched prefill. They are made once (an hour of CPU, kept in the pool's file, from which an interrupted run goes on);
miners are then drawn from them and judged as the text subnet judges. The shipped calibration was counted on other
prompts and seeds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import random
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles

import torch
from costs import Costs, measured
from drawn import MOST, Caught, Life, caught, lived
from rich.console import Console
from rich.table import Table

from ranvier.engines.store import Store, home
from ranvier.engines.text.model import CausalText
from ranvier.engines.text.network import Network
from ranvier.subnets.text import TextSettings
from ranvier.subnets.text.calibrate import shipped
from ranvier.subnets.text.sampled import PORTION, Sample, sampled
from ranvier.subnets.text.ways import ALONE, INT4, INT8, PREFILL, cheap_ways, honest_ways
from ranvier.subnets.verification import LogprobCheck

BEGIN, END = "<!-- begin: python benchmarks/verification -->", "<!-- end -->"
SUBTLE = ("0.95 of the temperature",)
"""Shown without a bar."""
LIFE = 1000
"""Answers over which the audit rate is averaged."""
LIVES = 20
ENOUGH = 1000
"""Different answers from which on the bar of honest ones counts as shown."""
TOKENS = 48


@dataclass(frozen=True)
class Line:
    """One figure beside its bar, and how many different answers it was drawn from."""

    name: str
    value: str
    bar: str = ""
    met: bool | None = None
    answers: int | None = None

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.met is None:
            return f"fewer than {ENOUGH} answers" if self.bar else ""
        return "met" if self.met else "NOT MET"


def cost_lines(costs: Costs, first: Sample, rate: float) -> list[Line]:
    """What a validator spends."""
    rng, known = random.Random(0), shipped()
    lives = [lived(rng.choices(first.answers, k=LIFE), known, rate, rng) for _ in range(LIVES)]
    share = sum(one.verified for one in lives) / (LIVES * LIFE)
    ratio = costs.verifying / costs.batched
    mean, settled = share * ratio, max(rate, share) * ratio
    return [
        Line("CPU-s of a prefill over prompt and answer", f"{costs.verifying:.3f}"),
        Line("the same against generating in batches of 32", f"{ratio:.3f}"),
        Line("the same against generating one at a time", f"{costs.verifying / costs.alone:.3f}"),
        Line(
            f"share of the first {LIFE} answers of an honest miner that is audited (base {rate:g})",
            f"{share:.3f}",
        ),
        Line(
            "**verifying an answer served, against batched generation**",
            f"{mean:.3f}",
            "<= 0.10",
            mean <= 0.1,
        ),
        Line("the same if the rate never fell below the base", f"{settled:.3f}"),
        Line(
            "miners for a validator's CPU-hour, one answer a minute each",
            f"{3600 / (costs.verifying * share * 60):.0f}",
        ),
    ]


def honest_lines(samples: Mapping[str, Sample], honest: list[str]) -> list[Line]:
    """Who must be paid. Every answer is audited, and no miner gives one twice."""
    lines, together = [], list[Life]()
    for name in honest:
        lives = _lives(samples[name])
        together += lives
        lines.append(_paid(f"honest, {name}: answers paid", lives, len(samples[name].answers)))
    different = sum(len(samples[name].answers) for name in honest)
    return [*lines, _paid("**honest, all ways: answers paid**", together, different)]


def _lives(sample: Sample) -> list[Life]:
    rng, known = random.Random(0), shipped()
    return [
        lived(rng.sample(sample.answers, len(sample.answers)), known, 1.0, rng)
        for _ in range(max(5, 5000 // len(sample.answers)))
    ]


def _paid(name: str, lives: list[Life], answers: int) -> Line:
    share = sum(one.paid for one in lives) / sum(one.judged for one in lives)
    pay = sum(one.pay for one in lives) / sum(one.judged for one in lives)
    proofs = sum(one.proofs for one in lives)
    told = f"{name} ({proofs} false proofs; suspicion costs {1 - pay:.3f} of the pay)"
    return Line(told, f"{share:.4f}", *_shown(share, answers), answers)


def _shown(share: float, answers: int) -> tuple[str, bool | None]:
    """Few answers can miss the bar and cannot meet it."""
    met = share >= 0.999
    return ">= 0.999", met if answers >= ENOUGH or not met else None


def cheat_lines(samples: Mapping[str, Sample], cheap: list[str], miners: int) -> list[Line]:
    """Who must be caught: the share within the bar, and what half and nearly all of them take."""
    return [_cheat(name, samples[name], miners) for name in cheap]


def _cheat(name: str, sample: Sample, miners: int) -> Line:
    found = caught(sample, shipped(), miners=miners)
    if name == INT8:
        share, bar, within = (
            sum(_proven(one) and one.tokens <= 2000 for one in found) / miners,
            0.95,
            "2,000 tokens",
        )
    else:
        share, bar, within = sum(one.answers <= 20 for one in found) / miners, 0.99, "20 answers"
    told = f"{name}: caught within {within} ({_needed(found)})"
    if name in SUBTLE:
        return Line(told, f"{share:.4f}", answers=len(sample.answers))
    return Line(told, f"{share:.4f}", f">= {bar:g}", share >= bar, len(sample.answers))


def _proven(one: Caught) -> bool:
    return one.answers <= MOST


def _needed(found: list[Caught]) -> str:
    """Audited answers and tokens that half, and that 99 of 100 miners take."""
    answers = quantiles([one.answers for one in found], n=100, method="inclusive")
    tokens = quantiles([one.tokens for one in found], n=100, method="inclusive")
    if answers[98] > MOST:
        return f"half after {answers[49]:.0f} answers, {tokens[49]:.0f} tokens"
    return f"half after {answers[49]:.0f}, 99 % after {answers[98]:.0f} answers, {tokens[98]:.0f} tokens"


def logprob_lines(samples: Mapping[str, Sample], honest: list[str]) -> list[Line]:
    """What the fall-back sees and what it does not: shares of answers whose log-probabilities are near enough."""
    check, lines = LogprobCheck.of(shipped()), []
    for name in (honest[0], INT8, INT4, PREFILL):
        away = [one.away for one in samples[name].answers if one.away is not None]
        share = sum(one <= check.distance for one in away) / len(away)
        lines.append(Line(f"log-probabilities alone: {name}: accepted", f"{share:.3f}", answers=len(away)))
    return lines


def shown(lines: list[Line], console: Console) -> None:
    """The table."""
    table = Table("figure", "value", "bar", "met", "answers")
    for line in lines:
        table.add_row(line.name.replace("**", ""), line.value, line.bar, line.state, str(line.answers or ""))
    console.print(table)


def documented(lines: list[Line], page: Path) -> None:
    """Put the table between the page's marks. Raises ValueError for a page without them."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN!r} and {END!r}")
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    today = dt.datetime.now(dt.UTC).date().isoformat()
    made = f"{today}; Python {platform.python_version()}, {versions}; {platform.machine()}, one thread."
    rows = [f"| {one.name} | {one.value} | {one.bar} | {one.state} | {one.answers or ''} |" for one in lines]
    table = "\n".join([made, "", "| figure | value | bar | | answers |", "|---|---|---|---|---|", *rows])
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def counts(
    ways: list[str], honest: list[str], answers: int, cheap: int | None, int8: int | None
) -> dict[str, int]:
    """Most of the first honest way; fewer of the others, as one by one is slow and most cheats are far from honest."""
    shares = {honest[0]: 1.0} | {name: 0.1 if name.endswith(ALONE) else 0.3 for name in honest[1:]}
    others = round(answers * 0.2) if cheap is None else cheap
    wanted = {name: round(answers * shares[name]) if name in shares else others for name in ways}
    wanted[INT8] = others if int8 is None else int8
    return {name: max(PORTION, count) for name, count in wanted.items()}


def main() -> int:
    """Make answers, draw miners, print."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/verification", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--answers", type=int, default=160, help="of the first honest way; a share of that of the others"
    )
    parser.add_argument(
        "--cheats", type=int, help="answers of each cheap way; a fifth of --answers by default"
    )
    parser.add_argument(
        "--int8", type=int, help="answers of 8-bit weights, which differ least; as --cheats by default"
    )
    parser.add_argument("--miners", type=int, default=2000, help="drawn for each figure")
    parser.add_argument("--turns", type=int, default=2, help="of measuring costs")
    parser.add_argument("--pool", type=Path, default=home() / "benchmarks" / "verification.jsonl")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--docs", type=Path, help="put the table into this page, between its marks")
    options = parser.parse_args()
    console = Console(width=max(140, Console().width))
    torch.set_num_threads(1)
    source = str(Store().path("smollm2"))
    network = Network.load(source, dtype="bfloat16", device="cpu")
    honest = honest_ways(network, Network.load(source, dtype="float32", device="cpu"))
    cheap, model = cheap_ways(network), CausalText("smollm2", network)
    options.pool.parent.mkdir(parents=True, exist_ok=True)
    samples = sampled(
        *(
            model,
            {**honest, **cheap},
            counts([*honest, *cheap], list(honest), options.answers, options.cheats, options.int8),
        ),
        tokens=TOKENS,
        seed="benchmark",
        path=options.pool,
        say=lambda line: console.print(line, style="dim"),
    )
    lines = [
        *cost_lines(measured(model, options.turns), samples[next(iter(honest))], TextSettings().audit_rate),
        *honest_lines(samples, list(honest)),
        *cheat_lines(samples, list(cheap), options.miners),
        *logprob_lines(samples, list(honest)),
    ]
    shown(lines, console)
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    if options.docs:
        documented(lines, options.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
