"""Installed packages against what Ranvier asks for, from their metadata alone: nothing is imported."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

_LINE = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;(.*))?")
_BOUND = re.compile(r"(>=|<=|==|!=|>|<)\s*([0-9][0-9.]*)")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
DISTRIBUTION: Final = "ranvier"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that is asked for, by which extra ("" for the base install), in which versions (">=2,<3")."""

    name: str
    bounds: str = ""
    extra: str = ""

    @classmethod
    def read(cls, line: str) -> Requirement:
        """From a line of a distribution's metadata."""
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"{line!r} is no requirement")
        name, bounds, marker = (part or "" for part in found.groups())
        extra = _EXTRA.search(marker)
        return cls(name, "".join(bounds.split()), extra.group(1) if extra else "")

    def problem(self) -> str:
        """Empty where a fitting version is installed; else ``NAME is missing`` or the version and the bounds."""
        found = installed(self.name)
        if found is None:
            return f"{self.name} is missing"
        return "" if fits(found, self.bounds) else f"{self.name} {found} (needed: {self.bounds})"


def requirements() -> tuple[Requirement, ...]:
    """All that Ranvier's own metadata asks for; none where it is not installed."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or ()
    except importlib.metadata.PackageNotFoundError:
        return ()
    return tuple(Requirement.read(line) for line in lines)


def installed(name: str) -> str | None:
    """The version of a distribution, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def fits(version: str, bounds: str) -> bool:
    """Whether `version` is within bounds like ">=2.0,<3"; only the numbers before any suffix count (2.13.0+cpu)."""
    return all(_holds(_order(version, limit), sign) for sign, limit in _BOUND.findall(bounds))


def _holds(order: int, sign: str) -> bool:
    return {
        ">=": order >= 0, "<=": order <= 0, "==": order == 0, "!=": order != 0, ">": order > 0, "<": order < 0,
    }[sign]  # fmt: skip


def _order(one: str, other: str) -> int:
    """-1, 0 or 1 as the first is older, equal or newer."""
    pairs = zip_longest(_numbers(one), _numbers(other), fillvalue=0)
    return next(((left > right) - (left < right) for left, right in pairs if left != right), 0)


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(part) for part in release.group().split(".")) if release else ()
