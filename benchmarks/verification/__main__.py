"""What verifying text costs, whom it pays and whom it catches.

Run: python benchmarks/verification [--answers N] [--miners N] [--pool FILE] [--json FILE] [--docs FILE]

One verifier (the prepared SmolLM2-135M-Instruct in bfloat16 on a CPU) judges answers that were made in each way by one
batched prefill. They are made once (minutes of CPU, kept in the pool's file); miners are then drawn from them, with
replacement, and judged as the text subnet judges. The shipped calibration was counted on other prompts and seeds.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from drawn import accepted, caught_in_tokens, caught_within, faulty, mean_audit_rate
from pool import Pool, collected
from rich.console import Console
from rich.table import Table

from ranvier.engines.store import Store, home
from ranvier.engines.text.model import CausalText
from ranvier.engines.text.network import Network
from ranvier.subnets.text import TextSettings
from ranvier.subnets.text.calibrate import NEAREST, shipped
from ranvier.subnets.text.ways import Way, cheap_ways, honest_ways

BEGIN, END = "<!-- begin: python benchmarks/verification -->", "<!-- end -->"
SUBTLE = ("nine tenths of the temperature",)
"""Shown without a bar."""
LIFE = 1000
"""Answers over which the audit rate is averaged."""


@dataclass(frozen=True)
class Line:
    """One figure beside its bar."""

    name: str
    value: str
    bar: str
    met: bool | None


def ways() -> tuple[CausalText, dict[str, Way], dict[str, Way]]:
    """The verifier; honest ways; cheap ways."""
    source = str(Store().path("smollm2"))
    network = Network.load(source, dtype="bfloat16", device="cpu")
    other = Network.load(source, dtype="float32", device="cpu")
    return CausalText("smollm2", network), honest_ways(network, other), cheap_ways(network)


def costs(pools: dict[str, Pool], honest: list[str], rate: float) -> list[Line]:
    """What a validator spends."""
    batched, alone = pools[honest[0]], pools[honest[2]]
    verify = batched.verifying / len(batched.answers)
    by_batch = verify / (batched.making / len(batched.answers))
    by_one = verify / (alone.making / len(alone.answers))
    mean = mean_audit_rate(rate, LIFE)
    served = mean * by_batch
    miners = 3600 / (verify * mean * 60)
    return [
        Line("a prefill against generating in batches of 16", f"{by_batch:.3f}", "", None),
        Line("a prefill against generating one at a time", f"{by_one:.3f}", "", None),
        Line(f"mean audit rate of the first {LIFE} answers (base {rate:g})", f"{mean:.3f}", "", None),
        Line(
            "verifying an answer served, against batched generation",
            f"{served:.3f}",
            "<= 0.10",
            served <= 0.10,
        ),
        Line("miners for a validator's CPU-hour, one answer a minute each", f"{miners:.0f}", "", None),
    ]


def catches(pools: dict[str, Pool], honest: list[str], cheap: list[str], miners: int) -> list[Line]:
    """Whom the evidence convicts, and whom it must not."""
    known, lines = shipped(), []
    for name in honest:
        share, proofs = accepted(pools[name], known, answers=max(1000, miners))
        lines.append(
            Line(
                f"honest, {name}: answers paid ({proofs} false proofs)",
                f"{share:.4f}",
                ">= 0.999",
                share >= 0.999,
            )
        )
    for name in cheap:
        if name == NEAREST:
            share = caught_in_tokens(pools[name], known, tokens=2000, miners=miners)
            lines.append(
                Line(f"{name}: caught within 2,000 tokens", f"{share:.3f}", ">= 0.95", share >= 0.95)
            )
            continue
        share = caught_within(pools[name], known, answers=20, miners=miners)
        told = f"{name}: caught within 20 audited answers (wrong ends {faulty(pools[name]):.2f})"
        lines.append(
            Line(
                told,
                f"{share:.3f}",
                "" if name in SUBTLE else ">= 0.99",
                None if name in SUBTLE else share >= 0.99,
            )
        )
    return lines


def shown(lines: list[Line], console: Console) -> None:
    """The table."""
    table = Table("figure", "value", "bar", "met")
    for line in lines:
        table.add_row(line.name, line.value, line.bar, {True: "met", False: "NOT MET", None: ""}[line.met])
    console.print(table)


def documented(lines: list[Line], page: Path) -> None:
    """Put the table between the page's marks. Raises ValueError for a page without them."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN!r} and {END!r}")
    known = shipped()
    versions = ", ".join(f"{name} {number}" for name, number in known.versions.items())
    made = f"{known.date}; {versions}; {platform.machine()}"
    rows = [
        f"| {one.name} | {one.value} | {one.bar} | {'' if one.met is None else 'met' if one.met else '**not met**'} |"
        for one in lines
    ]
    table = "\n".join([made, "", "| figure | value | bar | |", "|---|---|---|---|", *rows])
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def main() -> int:
    """Collect, draw, print."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/verification", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--answers", type=int, default=64, help="of each way; four times as many of the closest ones"
    )
    parser.add_argument("--miners", type=int, default=2000, help="drawn for each figure")
    parser.add_argument("--pool", type=Path, default=home() / "benchmarks" / "verification.json")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--docs", type=Path, help="put the table into this page, between its marks")
    options = parser.parse_args()
    console = Console(width=max(120, Console().width))
    verifier, honest, cheap = ways()
    close = {next(iter(honest)), NEAREST}
    pools = collected(
        verifier,
        {**honest, **cheap},
        lambda name: options.answers * (4 if name in close else 1),
        options.pool,
        lambda line: console.print(line, style="dim"),
    )
    rate = TextSettings().audit_rate
    lines = [*costs(pools, list(honest), rate), *catches(pools, list(honest), list(cheap), options.miners)]
    shown(lines, console)
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    if options.docs:
        documented(lines, options.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
