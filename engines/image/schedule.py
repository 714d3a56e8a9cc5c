"""How much noise is left before each step of the scenes pipeline; needs no torch."""

from __future__ import annotations

from typing import Final

SHIFT: Final = 2.5
"""More than 1 puts more of the steps where there is much noise and objects take shape."""


def noise_shares(steps: int) -> list[float]:
    """The share of noise before each step, and 0 after the last."""
    even = [1 - number / steps for number in range(steps + 1)]
    return [SHIFT * one / (1 + (SHIFT - 1) * one) for one in even]
