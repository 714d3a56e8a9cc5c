"""How far a received picture is from one that was drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ranvier.engines.image.png import Pixels

PATCH: Final = 4
"""Side of the squares of `Distance.coarse`, in pixels."""


@dataclass(frozen=True, slots=True)
class Distance:
    """In levels of 0..255 over all channels.

    ``mean`` is the mean difference of pixels: it sees a picture that is another one. ``high`` is their 99th percentile:
    it sees a small part that is. ``coarse`` is the mean difference of the averages of 4x4 pixels: rounding in a
    coarser dtype is grain, which averages out; a step that was left out moves whole areas.
    """

    mean: float
    high: float
    coarse: float


def distance(one: Pixels, other: Pixels) -> Distance:
    """Between pictures of one shape; raises ValueError where shapes differ."""
    if one.shape != other.shape:
        raise ValueError(f"pictures of shapes {one.shape} and {other.shape} cannot be compared")
    signed = one.astype(np.float32) - other.astype(np.float32)
    apart = np.abs(signed)
    return Distance(
        float(apart.mean()),
        float(np.percentile(apart, 99, method="higher")),
        float(np.abs(_averages(signed)).mean()),
    )


def _averages(values: np.ndarray) -> np.ndarray:
    """Of squares of `PATCH`; what is left over at the edges of odd sizes joins the squares beside it."""
    for axis in (0, 1):
        side = values.shape[axis]
        starts = np.arange(max(1, side // PATCH)) * PATCH
        widths = np.diff([*starts, side])
        values = np.add.reduceat(values, starts, axis=axis) / np.expand_dims(widths, (1 - axis, 2))
    return values
