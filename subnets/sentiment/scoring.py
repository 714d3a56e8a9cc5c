"""Skill: how much better than free knowledge were a miner's probabilities? Pooled over latest texts; pure.

Free knowledge is the frame: a program that reads only the public frames knows which texts are neutral and
that the rest are a coin toss. That program's Brier loss (0 for a neutral text, 1/2 for a polar one) is the
baseline; so neutral texts can only cost, a constant is far below zero, and what pays is reading the sentences
*and* the stance to them. Brier loss here is the sum over the three classes of (p - outcome)^2, in [0, 2].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NEUTRAL = 1
_PRIOR = 4.0
"""Baseline loss of zero skill mixed into every pool (that of eight polar texts): few texts prove little."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Losses summed over some texts."""

    texts: int
    loss: float
    baseline: float


def brier(probabilities: Sequence[float], label: int) -> float:
    """Sum of squared differences to the outcome."""
    return sum((p - (k == label)) ** 2 for k, p in enumerate(probabilities))


def baseline(label: int) -> float:
    """The loss of knowing the frame and nothing else."""
    return 0.0 if label == NEUTRAL else 0.5


def tally(forecasts: Sequence[Sequence[float]], labels: Sequence[int]) -> Tally:
    """Sum the losses of one answer; lengths must be equal."""
    losses = (brier(p, label) for p, label in zip(forecasts, labels, strict=True))
    return Tally(len(labels), sum(losses), sum(map(baseline, labels)))


def skill(tallies: Iterable[Tally]) -> float:
    """Pooled skill, at most 1, drawn to 0 while there is little evidence, negative where worse than free."""
    pooled = list(tallies)
    gained = sum(t.baseline - t.loss for t in pooled)
    return gained / (sum(t.baseline for t in pooled) + _PRIOR)


def latest(tallies: Sequence[Tally], window: int) -> list[Tally]:
    """The newest tallies that hold at most ``window`` texts together (always the newest one)."""
    kept: list[Tally] = []
    texts = 0
    for one in reversed(tallies):
        texts += one.texts
        if kept and texts > window:
            break
        kept.append(one)
    return kept[::-1]


def worth(value: float, floor: float) -> float:
    """Skill above the floor, scaled so that perfect skill is 1; nothing at the floor or below."""
    return min(1.0, max(0.0, (value - floor) / (1 - floor)))
