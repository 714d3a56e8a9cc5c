"""What the doctor finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """``warn`` does not fail an examination unless it is strict; ``skipped`` says what was missing."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: the check's name, what was found, what to do. ``node`` is "netuid hotkey", empty for the machine."""

    check: str
    status: Status
    finding: str
    next_step: str = ""
    node: str = ""

    def as_json(self) -> dict[str, Any]:
        """Stable keys: check, status, finding, next_step, node."""
        return asdict(self)


def ok(check: str, finding: str) -> Finding:
    """As it should be."""
    return Finding(check, Status.OK, finding)


def warn(check: str, finding: str, next_step: str) -> Finding:
    """Works, and may cost something."""
    return Finding(check, Status.WARN, finding, next_step)


def fail(check: str, finding: str, next_step: str) -> Finding:
    """Will not work."""
    return Finding(check, Status.FAIL, finding, next_step)


def skipped(check: str, because: str) -> Finding:
    """Could not be looked at."""
    return Finding(check, Status.SKIPPED, because)
