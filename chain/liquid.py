"""Liquid alpha: how fast bonds move, by consensus (2024-07) or for each bond (2026). All values are I32F32 bits."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from ranvier.chain.epoch_input import YumaParams
from ranvier.chain.fixed import FRACTION, ONE, U16_MAX, Bits, multiply, ratio
from ranvier.chain.series import exponential, natural_log, reciprocal

_HALF: Final = 1 << (FRACTION - 1)
_SATURATED: Final = (1 << 63) - 1
_FOUR_FIFTHS: Final = 52_428
_FORTIETH: Final = 1_638

ALPHA_LIMITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "2024": f"alpha_high is at least {_FOUR_FIFTHS}, alpha_low above 0 and below that",
        "y2": f"both are at least {_FORTIETH}, and alpha_low is not above alpha_high",
    }
)
"""What an owner may set, by era, in words."""


def refuse_alphas(era: str, low: int, high: int) -> str | None:
    """The chain's error name where an owner may not set these two u16 ratios, else None; see `ALPHA_LIMITS`."""
    if era == "2024":
        if high < _FOUR_FIFTHS:
            return "AlphaHighTooLow"
        return None if 0 < low < _FOUR_FIFTHS else "AlphaLowOutOfRange"
    if high < _FORTIETH:
        return "AlphaHighTooLow"
    return None if _FORTIETH <= low <= high else "AlphaLowOutOfRange"


def alpha_by_column(consensus: Bits, params: YumaParams) -> Bits | None:
    """The form of 2024-07: one alpha per uid, on a logistic curve through its consensus.

    The curve reaches `alpha_low` at the quartile below and `alpha_high` at the quartile above of all consensus
    values. None where even the upper one is 0: the plain moving average counts then.
    """
    ranked = np.sort(consensus).tolist()
    above, below = _quartile(ranked, 3), _quartile(ranked, 1)
    if above == 0:
        return None
    low, high = ratio(params.alpha_low, U16_MAX), ratio(params.alpha_high, U16_MAX)
    slope, start = _logistic(low, high, below, above)
    exponents = [_saturate(start - _saturate((slope * value) >> FRACTION)) for value in consensus.tolist()]
    alpha = reciprocal(exponential(np.array(exponents, dtype=np.int64)) + np.uint64(ONE))
    return _within(alpha, low, high)


def _logistic(low: int, high: int, below: int, above: int) -> tuple[int, int]:
    """(slope, intercept) of the exponent, both 0 where the quartiles or alphas do not make a curve."""
    if above <= below or 0 in (low, high):
        return 0, 0
    odds_low, odds_high = (natural_log((ONE << FRACTION) // alpha - ONE) for alpha in (low, high))
    slope = _saturate(_towards_zero((odds_high - odds_low) << FRACTION, below - above))
    return slope, _saturate(odds_low + _saturate((slope * below) >> FRACTION))


def alpha_by_bond(weights: Bits, held: Bits, consensus: Bits, params: YumaParams) -> Bits:
    """The form of 2026: an alpha for each bond, the larger the further its weight stands from consensus or bond.

    A validator that buys (weight >= bond) is measured by how far it stands above consensus, one that sells by how
    far below its bond. Where steepness makes exp() leave I32F32 the runtime takes it as 0, so alpha is high.
    """
    low, high = ratio(params.alpha_low, U16_MAX), ratio(params.alpha_high, U16_MAX)
    touched = (weights | held) > 0  # the others hold nothing, whatever their alpha
    weight, bond = weights[touched], held[touched]
    consensus = np.broadcast_to(consensus, weights.shape)[touched]
    bought = np.maximum(weight, consensus) - consensus
    sold = np.maximum(bond, weight) - weight
    apart = np.where(weight >= bond, bought, sold).astype(np.int64) - _HALF
    whole, part = divmod((params.alpha_sigmoid_steepness << FRACTION) // 100, ONE)
    sigmoid = reciprocal(exponential(-whole * apart + ((-part * apart) >> FRACTION)) + np.uint64(ONE))
    alpha = np.full_like(weights, low)
    alpha[touched] = _within(np.uint64(low) + multiply(sigmoid, np.uint64(high - low)), low, high)
    return alpha


def _within(alpha: Bits, low: int, high: int) -> Bits:
    return np.maximum(np.minimum(alpha, np.uint64(high)), np.uint64(low))


def _quartile(ranked: list[int], number: int) -> int:
    """Between its two neighbours in ascending order, linearly; a quarter of a whole number has no rounding."""
    place, rest = divmod(number * (len(ranked) - 1), 4)
    if rest == 0:
        return ranked[place]
    return ranked[place] + (((ranked[place + 1] - ranked[place]) * rest * (ONE // 4)) >> FRACTION)


def _towards_zero(numerator: int, denominator: int) -> int:
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def _saturate(bits: int) -> int:
    return max(-_SATURATED - 1, min(_SATURATED, bits))
