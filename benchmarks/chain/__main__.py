"""What the local chain costs, and whether it keeps what Yuma promises, beside rivals and published figures.

Run: python benchmarks/chain [--only CASE] [--repeats N] [--seed N] [--quick] [--json FILE] [--docs FILE]

Times are CPU time, the best of the repeats, rival and ours in turn. ``--docs`` puts the tables into a page, between its
marks, and draws the pictures of docs/images anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "protocol"))  # figure.py and machine.py serve both

from figure import Figure
from machine import described, load
from registry import CASES, Found, Options, Table, run
from rich.console import Console
from rich.table import Table as Printed

BEGIN, END = "<!-- begin: python benchmarks/chain -->", "<!-- end -->"
HEADS = ("figure", "value", "bar", "met", "note")


def collected(found: list[Found]) -> list[Table]:
    """The one table of figures, then what the cases have of their own."""
    lines = [_line(figure) for one in found for figure in one.figures]
    return [Table("The local chain", HEADS, lines), *(table for one in found for table in one.tables)]


def _line(figure: Figure) -> tuple[str, ...]:
    bar = "" if figure.bar is None else f"{figure.bar} {figure.unit}".strip()
    met = "" if figure.bar is None else "met" if figure.bar.met(figure.value) else "NOT MET"
    return (figure.name, f"{figure.value:.4g} {figure.unit}".strip(), bar, met, figure.note)


def show(console: Console, table: Table) -> None:
    """For a terminal."""
    printed = Printed(title=table.title)
    for number, head in enumerate(table.heads):
        printed.add_column(head, justify="left" if not number or head == "note" else "right", overflow="fold")
    for line in table.lines:
        printed.add_row(*line)
    console.print(printed)


def markdown(table: Table) -> str:
    """For docs/."""
    rows = (table.heads, ("---",) * len(table.heads), *table.lines)
    return f"### {table.title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def replace(page: Path, tables: str) -> None:
    """Put the tables between the page's marks. Raises ValueError for a page without them."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN!r} and {END!r}")
    page.write_text(f"{before}{BEGIN}\n{tables}{END}{after}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python benchmarks/chain", description="The local chain's figures.")
    parser.add_argument("--only", choices=CASES, help="one case")
    parser.add_argument("--repeats", type=int, default=15, help="of which the best counts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="does it run? the figures say nothing")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--docs", type=Path, help="put the tables into this page, between its marks")
    return parser.parse_args()


def main() -> int:
    """Measure, print; 1 where a bar is not met."""
    given, console = _options(), Console(width=max(150, Console().width))
    options = Options(
        repeats=1 if given.quick else given.repeats,
        seed=given.seed,
        quick=given.quick,
        plots=given.docs is not None and not given.quick,
    )
    found = []
    for key in CASES:
        if given.only in (None, key):
            console.print(f"{key}; {load()}", style="dim")
            found.append(run(key, options))
    tables, machine = collected(found), described(None)
    console.print(machine, highlight=False, soft_wrap=True)
    for table in tables:
        show(console, table)
    figures = [figure for one in found for figure in one.figures]
    if given.json:
        plain = {"machine": machine, "figures": [asdict(figure) for figure in figures]}
        given.json.write_text(json.dumps(plain, indent=1) + "\n")
    if given.docs:
        replace(given.docs, "\n".join((machine + "\n", *map(markdown, tables))))
    return int(any(figure.bar and not figure.bar.met(figure.value) for figure in figures) and not given.quick)


if __name__ == "__main__":
    sys.exit(main())
