"""Figure: one measured value beside the bar that it must keep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """What a value must be: at most ``limit``, or at least that."""

    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether ``value`` keeps it."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True)
class Figure:
    """One line of the table of single figures."""

    name: str
    """What was measured, with its counts: "10,000 forged requests, 32 in flight: refusals"."""
    value: float
    unit: str
    """Behind the value and the bar: "/s", "ms", "MB", "x" ..."""
    bar: Bar | None = None
    note: str = ""
    """What a reader needs to judge it: the rival's figure, a spread, what limits it."""
