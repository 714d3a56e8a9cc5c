"""The speed band: among those that passed, faster earns a little more, never much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ranvier.subnets.subnet import Answer, Verdict

LOW: Final = 0.75
HIGH: Final = 1.25


def speed_bands(elapsed: Mapping[str, float], low: float = LOW, high: float = HIGH) -> dict[str, float]:
    """A factor in [low, high] for each key, by rank of its seconds; equal times share the mean of their ranks.

    Only those that passed may be given: a failed answer has no speed. One alone gets the middle.
    """
    if len(elapsed) == 1:
        return dict.fromkeys(elapsed, (low + high) / 2)
    factors: dict[str, float] = {}
    times = sorted(elapsed.values())
    for key, seconds in elapsed.items():
        first = times.index(seconds)
        rank = first + (times.count(seconds) - 1) / 2
        factors[key] = high - (high - low) * rank / (len(times) - 1)
    return factors


def banded(answers: Sequence[Answer[Any]], verdicts: Sequence[Verdict], units: str = "") -> list[Verdict]:
    """The verdicts, those that passed times their speed band over its highest value, so at most 1.

    Seconds are compared for each answer, or for each item of the reply's sequence ``units``.
    """
    passed = {
        str(number): answer.elapsed / (len(getattr(answer.reply, units)) if units else 1)
        for number, (answer, verdict) in enumerate(zip(answers, verdicts, strict=True))
        if verdict.value
    }
    bands = speed_bands(passed)
    return [
        replace(verdict, value=verdict.value * (bands[str(number)] / HIGH)) if verdict.value else verdict
        for number, verdict in enumerate(verdicts)
    ]
