"""Counts of honest tokens and of the cheats that are hardest to tell from them: what evidence is weighed by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ranvier.subnets.errors import SubnetError
from ranvier.subnets.verification.tokens import (
    ENTROPIES,
    INFORMATIVE,
    KINDS,
    MARGINS,
    WIDTHS,
    Counts,
    Place,
)

MOST: Final = 4.0
"""Nats that a single token may add: no one of them is proof."""
FAR: Final = 0.02
"""The share of what is far from honest in every alternative, so that wide margins count as what they are."""
PRIOR: Final = 20
"""What was counted too little of a cheat is taken to look honest."""
Ratios = tuple[tuple[float, ...], ...]
"""ln(p(class | cheat) / p(class | honest)), by class of entropy, then by kind."""


class CalibrationUnfit(SubnetError):
    """A file that is no calibration."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path, self.cause = path, cause
        super().__init__(f"{path} is no calibration: {cause}; make one with `ranvier models calibrate`")


class Spread(BaseModel):
    """Mean differences of log-probabilities from the verifier's, of so many answers: their mean, and the largest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: int
    mean: float
    most: float


class Calibration(BaseModel):
    """Counts of tokens for one model, dtype, device and engine of the verifier.

    ``honest`` names every way of computing that is to be accepted, with its engine, dtype and batch; ``nearest`` the
    cheats that are hardest to tell from it (coarser weights, a slightly smaller temperature): each is the alternative
    of a test of its own. ``others`` are some that differ more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    dtype: str
    device: str
    engine: str
    date: str
    versions: dict[str, str]
    answers: dict[str, int]
    """How many answers of each way were counted."""
    ways: dict[str, Counts]
    """What was counted, by name: the evidence."""
    logprobs: dict[str, Spread]
    """How far off the log-probabilities of the ways that report some are, in nats a token."""
    honest: tuple[str, ...]
    nearest: tuple[str, ...]
    others: tuple[str, ...]
    uncalibrated: tuple[str, ...] = ()
    """Honest ways that these counts do not tell from cheaper work: miners that compute so are not accepted."""
    least: int = 64
    """Informative tokens of a miner before any of its answers is paid."""

    @model_validator(mode="after")
    def _complete(self) -> Calibration:
        for name in (*self.honest, *self.nearest, *self.others):
            if name not in self.ways:
                raise ValueError(f"{name} was not counted")
        if not (self.honest and self.nearest and self.others):
            raise ValueError("honest, nearest and others name at least one way each")
        for name, counts in self.ways.items():
            if [len(row) for row in counts] != [KINDS] * len(ENTROPIES):
                raise ValueError(f"{name} has other classes than this release counts")
        return self

    @cached_property
    def ratios(self) -> Mapping[str, Ratios]:
        """For each of ``nearest``; never less for a wider margin on the same side."""
        honest = [_smooth(row) for row in self._sums(self.honest)]
        others = self._shares(self.others, honest)
        return {name: _ratios(honest, self._shares((name,), honest), others) for name in self.nearest}

    @cached_property
    def tie(self) -> float:
        """The widest margin that rounding makes: where the class ends in which the widest honest one was seen."""
        seen = [
            width
            for name in self.honest
            for row in self.ways[name]
            for kind, count in enumerate(row[1:])
            if count and (width := kind % WIDTHS) < len(MARGINS)
        ]
        return MARGINS[max(seen, default=0)]

    def drift(self, way: str, alternative: str) -> float:
        """What one informative token of a counted way adds to a test on average: below 0 for who is to be cleared."""
        counts = self.ways[way]
        sums = [
            number * ratio
            for row, ratios in zip(counts, self.ratios[alternative], strict=True)
            for number, ratio in zip(row, ratios, strict=True)
        ]
        return sum(sums) / max(1, sum(map(sum, counts[INFORMATIVE:])))

    @property
    def confused(self) -> tuple[str, ...]:
        """Ways that these counts would take for their opposite: with any, nobody may be judged by them."""
        return (
            *(way for way in self.honest if max(self.drift(way, one) for one in self.nearest) >= 0),
            *(one for one in self.nearest if self.drift(one, one) <= 0),
            *(way for way in self.others if max(self.drift(way, one) for one in self.nearest) <= 0),
        )

    def weigh(self, places: Iterable[Place], alternative: str) -> list[float]:
        """The log-likelihood ratio of each token."""
        table = self.ratios[alternative]
        return [table[entropy][kind] for entropy, kind in places]

    def _sums(self, names: Sequence[str]) -> list[list[int]]:
        """Tokens of all these ways together."""
        return [
            [sum(column) for column in zip(*(self.ways[name][row] for name in names), strict=True)]
            for row in range(len(ENTROPIES))
        ]

    def _shares(self, names: Sequence[str], honest: list[list[float]]) -> list[list[float]]:
        """Shares of the kinds by entropy, as if `PRIOR` honest tokens had been counted among them."""
        return [
            [(count + PRIOR * share) / (sum(row) + PRIOR) for count, share in zip(row, plain, strict=True)]
            for row, plain in zip(self._sums(names), honest, strict=True)
        ]


def read_calibration(path: Path) -> Calibration:
    """The calibration in a file. Raises `CalibrationUnfit`, also for counts that confuse honest work with cheats."""
    try:
        found = Calibration.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CalibrationUnfit(path, f"it cannot be read: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise CalibrationUnfit(path, f"{where}: {fault['msg']}" if where else fault["msg"]) from error
    if found.confused:
        raise CalibrationUnfit(path, f"its counts do not tell {', '.join(found.confused)} from the opposite")
    return found


def _smooth(row: Sequence[int]) -> list[float]:
    """Shares, with half a token more of each kind for what was never seen."""
    return [(count + 0.5) / (sum(row) + 0.5 * len(row)) for count in row]


def _ratios(honest: list[list[float]], nearest: list[list[float]], others: list[list[float]]) -> Ratios:
    return tuple(
        _rising(
            [math.log(((1 - FAR) * near + FAR * far) / plain) for near, far, plain in zip(*row, strict=True)]
        )
        for row in zip(nearest, others, honest, strict=True)
    )


def _rising(row: list[float]) -> tuple[float, ...]:
    """Never less for a wider margin, on either side of the seeded choice."""
    same, less, likelier = row[0], row[1 : 1 + WIDTHS], row[1 + WIDTHS :]
    sides = [list(accumulate(side, max, initial=same))[1:] for side in (less, likelier)]
    return tuple(min(MOST, value) for value in (same, *sides[0], *sides[1]))
