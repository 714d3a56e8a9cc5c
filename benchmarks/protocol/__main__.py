"""The wire beside its rivals: CPU time of both sides for each request, and what the door and a round of 256 hold.

Run: python benchmarks/protocol [--requests N] [--rounds N] [--only CASE] [--json FILE] [--docs FILE]

Rivals take turns (A B C D A B C D ...), each server and each client a process of its own on loopback; a figure is the
median over the rounds of the CPU time that client and server used, a ratio that of two medians of the same run. What
a rival sends and checks stands in its module: bare.py, prototype.py, official.py, ours.py.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import math
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from cases import CASES
from figure import Figure
from machine import described, load
from measure import measure, verdicts
from process import Processes
from rich.console import Console
from table import FIGURES, TIMES, Block, figure_line, markdown, show

ROOT = Path(__file__).resolve().parents[2]
SINGLE = ("door", "rounds")
"""Modules with ``figures(quick=...)``: single figures, each with its own processes."""
BEGIN, END = "<!-- begin: python benchmarks/protocol -->", "<!-- end -->"


@dataclass(frozen=True)
class Found:
    """All that one run measured."""

    blocks: list[Block]
    figures: list[Figure]

    @property
    def failed(self) -> bool:
        """Whether a lane with anything of ours in it could not be measured."""
        return any(
            row.failure and "ours" in lane.peers and "official" not in lane.peers
            for block in self.blocks
            for lane, row in zip(block.case.lanes, block.rows, strict=True)
        )


async def times(options: argparse.Namespace, official: str | None, console: Console) -> list[Block]:
    """The first table: each case with its rivals."""
    requests, rounds = (4, 1) if options.quick else (options.requests, options.rounds)
    processes, blocks = Processes(official), []
    try:
        for case in CASES:
            if options.only in (None, case.key):
                console.print(f"{case.title}; {load()}", style="dim")
                rows = await measure(case, processes, requests, rounds)
                blocks.append(Block(case, rows, verdicts(case, rows)))
    finally:
        await processes.stop()
    return blocks


def single_figures(options: argparse.Namespace, console: Console) -> list[Figure]:
    """The second table."""
    found: list[Figure] = []
    for name in SINGLE:
        if options.only in (None, name) and Path(__file__).with_name(f"{name}.py").exists():
            console.print(f"{name}; {load()}", style="dim")
            found += importlib.import_module(name).figures(quick=options.quick)
    return found


def report(found: Found, official: str | None, options: argparse.Namespace, console: Console) -> None:
    """Print both tables; write what ``--json`` and ``--docs`` ask for."""
    lines = [line for block in found.blocks for line in block.lines()]
    singles = [figure_line(figure) for figure in found.figures]
    machine = described(official)
    console.print(machine, highlight=False, soft_wrap=True)
    if lines:
        show(console, "CPU time for each request, client and server", TIMES, lines)
    if singles:
        show(console, "Single figures", FIGURES, singles)
    if options.json:
        options.json.write_text(json.dumps(_plain(found, machine), indent=1) + "\n")
    if options.docs:
        tables = [markdown(*table) for table in ((TIMES, lines), (FIGURES, singles)) if table[1]]
        _replace(options.docs, "\n".join((machine + "\n", *tables)))


def _plain(found: Found, machine: str) -> dict[str, object]:
    """JSON knows no NaN: what was not measured is null."""
    rows = [asdict(row) for block in found.blocks for row in block.rows]
    bars = [{**asdict(v), "met": v.met} for block in found.blocks for v in block.verdicts]
    figures = [{**asdict(f), "met": f.bar.met(f.value) if f.bar else None} for f in found.figures]
    plain = {"machine": machine, "rows": [_null(row) for row in rows], "bars": [_null(bar) for bar in bars]}
    return {**plain, "figures": figures}


def _null(record: dict[str, object]) -> dict[str, object]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in record.items()
    }


def _replace(page: Path, tables: str) -> None:
    """Put the tables between the page's marks. Raises ValueError for a page without them."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN!r} and {END!r}")
    page.write_text(f"{before}{BEGIN}\n{tables}{END}{after}")


def _official(chosen: str | None) -> str | None:
    """The interpreter that has the official package, or None; raises FileNotFoundError for a chosen one."""
    chosen = chosen or os.environ.get("RANVIER_LEGACY_PYTHON")
    python = Path(chosen or ROOT / ".venv-legacy/bin/python")
    if chosen and not python.exists():
        raise FileNotFoundError(
            f"no interpreter at {chosen}: `make legacy` makes one at .venv-legacy/bin/python"
        )
    return str(python) if python.exists() else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/protocol", description="The wire beside its rivals."
    )
    keys = [*(case.key for case in CASES), *SINGLE]
    parser.add_argument("--requests", type=int, default=400, help="of 1 KB in a turn; other cases follow")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each rival in each case")
    parser.add_argument("--only", choices=keys, help="one case")
    parser.add_argument("--official", help="python of an environment with bittensor 10.5.0 (`make legacy`)")
    parser.add_argument(
        "--quick", action="store_true", help="tiny counts: does it run? the figures say nothing"
    )
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--docs", type=Path, help="put the tables into this page, between its marks")
    return parser.parse_args()


def main() -> int:
    """Measure, print; 1 where a lane of ours failed."""
    options, console = _options(), Console(width=max(168, Console().width))
    official = _official(options.official)
    found = Found(asyncio.run(times(options, official, console)), single_figures(options, console))
    report(found, official, options, console)
    return int(found.failed)


if __name__ == "__main__":
    sys.exit(main())
