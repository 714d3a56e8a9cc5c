"""How far a received picture is from one that was drawn again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranvier.engines.image.png import Pixels


@dataclass(frozen=True, slots=True)
class Distance:
    """In levels of 0..255 over all pixels and channels: the mean difference, and its 99th percentile.

    The mean sees a picture that is another one; the percentile sees a small part that is.
    """

    mean: float
    high: float


def distance(one: Pixels, other: Pixels) -> Distance:
    """Between pictures of one shape; raises ValueError where shapes differ."""
    if one.shape != other.shape:
        raise ValueError(f"pictures of shapes {one.shape} and {other.shape} cannot be compared")
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16))
    return Distance(float(apart.mean()), float(np.percentile(apart, 99, method="higher")))
