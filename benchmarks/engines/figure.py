"""One line of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("figure", "value", "ratio", "bar", "met", "note")


@dataclass(frozen=True)
class Figure:
    """``ratio`` is what ``least`` or ``most`` is about; a figure without either is there to be compared with."""

    name: str
    value: str
    ratio: float | None = None
    least: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it is where it should be; None where there is no bar."""
        if self.ratio is None or (self.least is None and self.most is None):
            return None
        return (self.least is None or self.ratio >= self.least) and (
            self.most is None or self.ratio <= self.most
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """As in `HEAD`."""
        bar = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}" if self.most else ""
        met = {None: "", True: "yes", False: "NO"}[self.met]
        return self.name, self.value, "" if self.ratio is None else f"{self.ratio:.2f}", bar, met, self.note


def markdown(figures: Sequence[Figure]) -> str:
    """A table for docs/."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(figure.cells for figure in figures)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
