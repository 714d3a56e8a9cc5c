"""Listings: a table for people, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import typer

ROOMY: Final = 160
"""Columns from which on a terminal shows whole addresses."""
_ADDRESS: Final = re.compile("5[1-9A-HJ-NP-Za-km-z]{46,48}")


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool, title: str = "") -> None:
    """Print rows; JSON is a list of objects."""
    if as_json:
        typer.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    # Names are whatever somebody wrote on the chain: no markup, and nothing that moves the cursor.
    table = Table(title=Text(_printable(title)) if title else None)
    for number, column in enumerate(columns):
        numeric = bool(rows) and isinstance(rows[0][number], int | float)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        narrow = console.is_terminal and console.width < ROOMY
        table.add_row(*(Text(_shown(value, narrow=narrow)) for value in row))
    console.print(table)


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
