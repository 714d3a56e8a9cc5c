"""What can be measured: a case is a module's ``run``, listed in CASES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final

from figure import Figure


@dataclass(frozen=True)
class Options:
    """How carefully. `quick` shrinks every case until it only shows that it runs."""

    repeats: int
    seed: int
    quick: bool
    plots: bool
    """Whether to draw pictures anew, into docs/images."""


@dataclass(frozen=True)
class Table:
    """Figures that have no bar, as text."""

    title: str
    heads: Sequence[str]
    lines: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Found:
    """What a case measured: lines of the one table, and tables of its own below it."""

    figures: Sequence[Figure]
    tables: Sequence[Table] = field(default=())


CASES: Final = {
    "epoch": "epochs",
    "guarantee": "guarantee",
    "blocks": "blocks",
    "served": "served",
}
"""Modules by the key for ``--only``; each has ``run(options) -> Found``."""


def run(key: str, options: Options) -> Found:
    """Measure one case; its module is imported only now."""
    found: Found = import_module(CASES[key]).run(options)
    return found
