"""Tables: what was measured, for a terminal and for docs/."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cases import BARE, HANDMADE, OFFICIAL, Case
from figure import Figure
from measure import Row, Verdict
from rich.console import Console
from rich.table import Table

TIMES = ("case", "rival", "client ms", "server ms", "both ms", "/s", "x bare", "x hand", "x official", "bar")
FIGURES = ("figure", "value", "bar", "met", "note")
_NAMES = {BARE: "bare", HANDMADE: "hand-written", OFFICIAL: "official"}


@dataclass(frozen=True)
class Block:
    """One case with its rows and bars, as text."""

    case: Case
    rows: Sequence[Row]
    verdicts: Sequence[Verdict]

    def lines(self) -> list[tuple[str, ...]]:
        """A line for each lane; ratios are to the first lane of each kind of rival."""
        return [self._line(number, row) for number, row in enumerate(self.rows)]

    def _line(self, number: int, row: Row) -> tuple[str, ...]:
        title = self.case.title if not number else ""
        if row.failure:
            return (title, row.lane, *("–",) * 7, row.failure)
        times = (
            f"{row.client_ms:.3f}",
            f"{row.server_ms:.3f}",
            f"{row.both_ms:.3f}",
            f"{row.each_second:.0f}",
        )
        ratios = (_ratio(row, self._first(word)) for word in ("bare", "hand-written", "official"))
        said = "; ".join(map(_said, self.verdicts)) if number == len(self.rows) - 1 else ""
        return (title, row.lane, *times, *ratios, said)

    def _first(self, word: str) -> Row | None:
        return next((row for row in self.rows if row.lane.startswith(word)), None)


def _ratio(row: Row, other: Row | None) -> str:
    if other is None or other is row or math.isnan(other.both_ms):
        return ""
    return f"{row.both_ms / other.both_ms:.3g}"


def _said(verdict: Verdict) -> str:
    limit = f"1/{1 / verdict.limit:.0f}" if verdict.limit < 0.1 else f"{verdict.limit:g}"
    bar = f"≤ {limit} {_NAMES.get(verdict.beside, verdict.beside)}"
    if math.isnan(verdict.ratio):
        return f"{bar}: not measured"
    ratio = f"1/{1 / verdict.ratio:.1f}" if verdict.limit < 0.1 else f"{verdict.ratio:.2f}"
    return f"{bar}: {'met' if verdict.met else 'NOT MET'} ({ratio})"


def figure_line(figure: Figure) -> tuple[str, ...]:
    """A single figure as text."""
    bar = "" if figure.bar is None else f"{figure.bar} {figure.unit}".strip()
    met = "" if figure.bar is None else "met" if figure.bar.met(figure.value) else "NOT MET"
    return (figure.name, f"{figure.value:.4g} {figure.unit}".strip(), bar, met, figure.note)


def show(console: Console, title: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print for a terminal."""
    table = Table(title=title)
    for head in heads:
        words = head in {"case", "rival", "bar", "figure", "note"}
        table.add_column(head, justify="left" if words else "right", overflow="fold")
    for number, line in enumerate(lines):
        if number and line[0]:
            table.add_section()
        table.add_row(*line)
    console.print(table)


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """The same for docs/."""
    ruler = ("---",) * len(heads)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ruler, *lines)) + "\n"
