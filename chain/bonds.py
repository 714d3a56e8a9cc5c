"""Bonds and dividends of an epoch: the original form that is bought by stake, and that of Yuma 3.

Both take the bonds as stored (u16 in uint64, stale ones at 0) and the weights that buy, and return the bonds to store
in [0, 1] beside one dividend per laid-out row, normalised.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ranvier.chain.epoch_input import EpochInput
from ranvier.chain.fixed import FRACTION, ONE, U16_MAX, Bits, Flags, divide, multiply, normalise, ratio
from ranvier.chain.frame import Agreement, Frame
from ranvier.chain.liquid import alpha_by_bond, alpha_by_column

_ONE: Final = np.uint64(ONE)


def penalised_weights(given: EpochInput, agreed: Agreement) -> Bits:
    """W + penalty * (clipped - W). The second term is never positive; the runtime floors it downwards."""
    penalty = ratio(given.params.bonds_penalty, U16_MAX)
    if penalty == ONE:
        return agreed.clipped
    excess = agreed.weights - agreed.clipped
    # -floor(-x) is the ceiling of x; no excess times penalty reaches 2**64 as penalty is below one here.
    return agreed.weights - ((excess * np.uint64(penalty) + np.uint64(ONE - 1)) >> np.uint64(FRACTION))


def moving_bonds(
    given: EpochInput, frame: Frame, agreed: Agreement, buying: Bits, stored: Bits, *, liquid: bool
) -> tuple[Bits, Bits]:
    """Original bonds: bought by weight times stake, an exponential moving average, dividends by incentive."""
    alpha: Bits | np.uint64 = _plain_alpha(given)
    if liquid and given.params.liquid_alpha:
        by_column = alpha_by_column(agreed.consensus, given.params)
        alpha = alpha if by_column is None else by_column
    bought = normalise(multiply(buying, frame.voice[:, None]), axis=0)
    moved = normalise(_moved(alpha, bought, normalise(stored, axis=0)), axis=0)
    dividends = normalise(multiply(moved, agreed.incentive).sum(axis=1, dtype=np.uint64))
    kept = divide(moved, moved.max(axis=0, initial=0)) if len(moved) else moved
    return kept, dividends


def yuma3_bonds(
    given: EpochInput, frame: Frame, agreed: Agreement, buying: Bits, stored: Bits
) -> tuple[Bits, Bits]:
    """Yuma 3: each validator's bonds move towards its own weights; stake enters with the dividends only."""
    held = (stored << np.uint64(FRACTION)) // np.uint64(U16_MAX)
    if given.params.liquid_alpha and agreed.consensus.any():
        alpha = alpha_by_bond(buying, held, agreed.consensus, given.params)
        moved = np.where(_named(given, frame, agreed, buying), _moved(alpha, buying, held), np.uint64(0))
    else:
        moved = _moved(_plain_alpha(given), buying, held)
    earned = multiply(normalise(moved, axis=0), agreed.incentive).sum(axis=1, dtype=np.uint64)
    return moved, normalise(multiply(earned, frame.voice))


def _moved(alpha: Bits | np.uint64, new: Bits, old: Bits) -> Bits:
    moved: Bits = np.minimum(multiply(new, alpha) + multiply(old, _ONE - alpha), _ONE)
    return moved


def _plain_alpha(given: EpochInput) -> np.uint64:
    return np.uint64(ONE - ratio(given.params.bonds_moving_average, 1_000_000))


def _named(given: EpochInput, frame: Frame, agreed: Agreement, buying: Bits) -> Flags:
    """The entries that the runtime's sparse rows still hold when liquid alpha moves bonds; the others' bonds vanish.

    A listed weight of 0 is held, so its bond decays; a weight that consensus clips to 0 is not. A penalty between
    none and full leaves only what is above 0.
    """
    penalty = given.params.bonds_penalty
    if 0 < penalty < U16_MAX:
        return buying > 0
    listed = given.weights.listed(frame.rows, given.size) & ~frame.void
    if penalty == 0:
        return listed
    gone = (agreed.weights > 0) & (agreed.consensus == 0)
    kept: Flags = listed & ~gone
    return kept
