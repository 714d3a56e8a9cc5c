"""From distances to thresholds: between honest runs and the nearest cheat."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from ranvier.engines.image.calibration import FLOOR, LinkLimits, Spread, Thresholds
from ranvier.engines.image.distance import PATCH, Distance
from ranvier.engines.image.runs import Latents

LINK_FLOOR: Final = 1e-5
"""Latents likewise: about a tenth of a level."""
ROOM: Final = 1.3
"""Times the largest honest distance is accepted at least, whatever cheats come near."""


def spread(apart: Iterable[Distance]) -> Spread:
    """Quantiles, each rounded to the less favourable neighbour where there are few pairs."""
    rows = list(apart)
    means, coarse = [one.mean for one in rows], [one.coarse for one in rows]
    highs = [one.high for one in rows]

    def low(values: list[float], share: float) -> float:
        return round(float(np.quantile(values, share, method="lower")), 4)

    def top(values: list[float]) -> float:
        return round(float(np.quantile(values, 0.999, method="higher")), 4)

    return Spread(
        pairs=len(rows),
        mean_q001=low(means, 0.001),
        mean_q01=low(means, 0.01),
        mean_q50=low(means, 0.5),
        mean_q999=top(means),
        coarse_q01=low(coarse, 0.01),
        coarse_q50=low(coarse, 0.5),
        coarse_q999=top(coarse),
        high_q01=low(highs, 0.01),
        high_q999=top(highs),
    )


def thresholds(honest: Spread, cheats: Mapping[str, Spread], seeds: Spread, rounding: float) -> Thresholds:
    """Between honest runs and the nearest cheat; proof lies half-way from there, or ``rounding``, to other seeds.

    ``rounding`` is the farthest mean of honest miners of any dtype: what may be that and no more is doubted, and is no
    proof.
    """
    same_mean = _between(honest.mean_q999, min(one.mean_q01 for one in cheats.values()), FLOOR)
    # Cheats that change pixels and leave their averages as they are (enlarged pictures) are left to the mean.
    moved = [
        one.coarse_q01
        for one in cheats.values()
        if one.coarse_q01 > max(honest.coarse_q999, one.mean_q01 / PATCH)
    ]
    same_coarse = _between(honest.coarse_q999, min(moved, default=0.0), FLOOR)
    return Thresholds(
        same_mean=round(same_mean, 4),
        same_coarse=round(same_coarse, 4),
        same_high=max(2.0, 2 * honest.high_q999),
        other_mean=round(_between(max(2 * rounding, same_mean), seeds.mean_q01, FLOOR, room=1.0), 4),
    )


def link_limits(chains: Latents, again: Latents) -> tuple[LinkLimits, ...]:
    """For every step, between honest latents made again and the best that one who skips the step can offer."""
    apart = np.abs(chains[:, 1:] - again)
    means, highs = apart.mean(2), np.quantile(apart, 0.99, axis=2)
    skipped = _continued(chains)
    found = []
    for number in range(apart.shape[1]):
        honest, high = float(means[:, number].max()), float(highs[:, number].max())
        # The first step has none before it to go on from: who skips it has nothing that comes near.
        near = skipped[:, max(number - 1, 0)]
        nearest = float(np.quantile(near.mean(1), 0.01, method="lower"))
        nearest_high = float(np.quantile(np.quantile(near, 0.99, axis=1), 0.01, method="lower"))
        same = _between(honest, nearest, LINK_FLOOR)
        found.append(
            LinkLimits(
                same_mean=_short(same),
                same_high=_short(_between(high, nearest_high, 4 * LINK_FLOOR)),
                other_mean=_short(max(1.5 * same, nearest / 2, 3 * honest)),
                honest=_short(honest),
                skipped=_short(nearest),
            )
        )
    return tuple(found)


def _continued(chains: Latents) -> Latents:
    """Differences to what follows in the best straight continuation, (pictures, steps - 1, numbers)."""
    before = chains[:, 1:-1] - chains[:, :-2]
    after = chains[:, 2:] - chains[:, 1:-1]
    factor = (before * after).sum(2) / np.maximum((before * before).sum(2), 1e-12)
    apart: Latents = np.abs(after - factor[..., None] * before)
    return apart


def _between(honest: float, cheat: float, floor: float, *, room: float = ROOM) -> float:
    """The geometric middle, with some room for honest runs where they lie close together."""
    base = max(honest, floor)
    return max(math.sqrt(base * max(cheat, base)), room * base)


def _short(value: float) -> float:
    return float(f"{value:.3g}")
