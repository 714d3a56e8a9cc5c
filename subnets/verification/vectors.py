"""Embeddings and probabilities that the verifier computes again: near enough, row by row, or another model's.

How near is near enough was measured; see `distances`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

UNIT: Final = 0.01
"""How far an embedding's length may lie from 1."""


def embedding_worth(
    given: Sequence[Sequence[float]], own: Sequence[Sequence[float]], *, distance: float
) -> float:
    """1 if every unit vector is within ``distance`` (1 - cosine) of the verifier's, else 0.

    One wrong row of a batch voids it: who computes nine of ten rows would else earn nine tenths for nothing.
    """
    if len(given) != len(own):
        return 0.0
    return float(all(_near(theirs, ours, distance) for theirs, ours in zip(given, own, strict=True)))


def probability_worth(given: Sequence[float], own: Sequence[float], *, distance: float) -> float:
    """1 if ``given`` are probabilities that sum to 1 and lie within ``distance`` (total variation) of ``own``, else 0.

    For one text; an answer of several is worth the least of its rows.
    """
    if len(given) != len(own) or not all(math.isfinite(value) and 0 <= value <= 1 for value in given):
        return 0.0
    if abs(sum(given) - 1) > UNIT:
        return 0.0
    return float(sum(abs(a - b) for a, b in zip(given, own, strict=True)) / 2 <= distance)


def label_worth(
    given: Sequence[str], own: Sequence[Sequence[float]], labels: Sequence[str], *, tie: float
) -> float:
    """1 if every label is the verifier's, or within ``tie`` of it in probability (rounding decides those), else 0.

    A smaller model names most labels as a larger one does: a share of the pay for a share of the labels would feed it.
    """
    if len(given) != len(own) or not own:
        return 0.0
    places = {label: place for place, label in enumerate(labels)}
    for label, row in zip(given, own, strict=True):
        place = places.get(label)
        if place is None or row[place] < max(row) - tie:
            return 0.0
    return 1.0


def _near(theirs: Sequence[float], ours: Sequence[float], distance: float) -> bool:
    if len(theirs) != len(ours) or not all(math.isfinite(value) for value in theirs):
        return False
    length = math.hypot(*theirs)
    if abs(length - 1) > UNIT:
        return False
    product = sum(a * b for a, b in zip(theirs, ours, strict=True))
    return 1 - product / (length * math.hypot(*ours)) <= distance
