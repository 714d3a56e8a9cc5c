"""The speed band: among those that passed, faster earns a little more, never much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
