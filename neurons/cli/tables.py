"""Listings: a table for people, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ROOMY: Final = 160
"""Columns from which on a terminal shows whole addresses."""
ENDLESS: Final = 100_000
"""Columns where there is no terminal: a line is a row, for whatever reads it."""
_ADDRESS: Final = re.compile("5[1-9A-HJ-NP-Za-km-z]{46,48}")


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool, title: str = "") -> None:
    """Print rows; JSON is a list of objects. Where a terminal is too narrow for a table each row is a paragraph."""
    if as_json:
        typer.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2))
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=ENDLESS)
    # Names are whatever somebody wrote on the chain: no markup, and nothing that moves the cursor.
    title, narrow = _printable(title), console.is_terminal and console.width < ROOMY
    shown = [[_shown(value, narrow=narrow) for value in row] for row in rows]
    numeric = [bool(rows) and isinstance(value, int | float) for value in (rows[0] if rows else columns)]
    table = _table(columns, shown, numeric, title)
    if _fits(console, table):
        console.print(table)
    else:
        _print_paragraphs(console, columns, shown, title)


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool], title: str
) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None)
    for column, number in zip(columns, numeric, strict=True):
        table.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=number)
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    return table


def _fits(console: Console, table: Table) -> bool:
    """Whether no word of it has to be broken."""
    from rich.measure import Measurement

    options = console.options.update(width=ENDLESS, max_width=ENDLESS)
    return Measurement.get(console, options, table).minimum <= console.width


def _print_paragraphs(
    console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]], title: str
) -> None:
    """Every value that there is behind its column's name; lines are broken between them, where that is possible."""
    from rich.text import Text

    if title:
        console.print(Text(title, style="italic"))
    for row in rows:
        line = Text()
        for column, value in zip(columns, row, strict=True):
            if not value:
                continue
            pair = len(column) + 1 + len(value)
            if line and line.cell_len + 2 + pair > console.width:
                console.print(line, overflow="fold")
                line = Text("  ")
            elif line:
                line.append("  ")
            line.append(column, style="bold").append(f" {value}")
        console.print(line, overflow="fold")


def _shown(value: Any, *, narrow: bool) -> str:
    """A cell. On a narrow terminal an address is its two ends; where it is piped it stays whole."""
    if isinstance(value, float):
        return f"{value:.4f}"
    text = _printable(str(value))
    return f"{text[:6]}…{text[-4:]}" if narrow and _ADDRESS.fullmatch(text) else text


def _printable(text: str) -> str:
    return "".join(
        letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
