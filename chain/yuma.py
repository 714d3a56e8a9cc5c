"""One Yuma epoch in the chain's own arithmetic, from stake and weights to bonds and emission.

Formulas and their order are the runtime's (subtensor `run_epoch`); the step numbers below are those of the
usual description: S stake share, A active stake, W weights, P pre-rank, C consensus, R rank, T trust, I
incentive, B bonds, D dividends. Only rows that can matter are laid out (validators with a voice, a weight row
or bonds), so a subnet of 256 neurons with 64 validators costs 64 x 256 entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranvier.chain.epoch_input import EpochInput
from ranvier.chain.epoch_result import EpochResult
from ranvier.chain.fixed import (
    Bits,
    divide,
    multiply,
    normalise,
    ratio,
    scale,
    shares,
    to_u16,
    upscale_to_u16,
)
from ranvier.chain.median import weighted_median
from ranvier.chain.sparse import SparseRows
from ranvier.chain.variants import Frame, Variant, variant_named

Flags = npt.NDArray[np.bool_]
_ZERO = np.uint64(0)


@dataclass(frozen=True, eq=False)
class _Consensus:
    """Steps 6 to 8. `validator_trust` is per laid-out row, the others per uid."""

    consensus: Bits
    clipped: Bits
    validator_trust: Bits
    trust: Bits
    incentive: Bits


def epoch(given: EpochInput) -> EpochResult:
    """Run one epoch; pure. Raises `MalformedEpoch` for an unknown variant."""
    variant = variant_named(given.variant)
    share = shares(given.effective_stake())
    silent = given.block > given.updates + given.params.activity_cutoff
    active_stake = normalise(np.where(silent | ~given.permitted, _ZERO, share))
    frame = _lay_out(given, active_stake)
    weights = normalise(_weights(given, frame, variant), axis=1)
    agreed = _agree(frame.voice, weights, ratio(given.params.kappa, 65535))
    held = given.bonds.dense(frame.rows, given.size)
    held = normalise(np.where(variant.stale_bonds(given, frame), _ZERO, held), axis=0)
    bonds, payout = variant.bonds(
        given, frame, variant.bond_weights(given, weights, agreed.clipped), held, agreed.incentive
    )
    dividends = np.zeros(given.size, dtype=np.uint64)
    dividends[frame.rows] = payout
    permits = variant.permits(given, share)
    return _settle(given, frame, agreed, bonds, dividends, permits, active_stake, share, ~silent)


def _lay_out(given: EpochInput, active_stake: Bits) -> Frame:
    """Choose the rows that can matter: stake with a voice, permitted weight rows, any bond row."""
    used = active_stake > 0
    used[given.weights.rows] = True
    used &= given.permitted
    used[given.bonds.rows] = True
    rows = np.flatnonzero(used)
    outdated = given.updates[rows, None] <= given.registrations[None, :]
    return Frame(rows, active_stake[rows], outdated)


def _weights(given: EpochInput, frame: Frame, variant: Variant) -> Bits:
    """Step 5: weights without unpermitted rows, outdated entries and self-weight; not normalised.

    Raw u16 integers and I32F32 integers have the same quotients, so the row sum may be taken before the
    conversion.
    """
    weights = given.weights.dense(frame.rows, given.size)
    weights[~given.permitted[frame.rows]] = 0
    weights[frame.outdated] = 0
    itself = np.arange(len(frame.rows))
    own = weights[itself, frame.rows]
    keeps = frame.rows == given.params.owner_uid if variant.owner_weighs_itself else np.zeros(len(own), bool)
    weights[itself, frame.rows] = np.where(keeps, own, _ZERO)
    return weights


def _agree(voice: Bits, weights: Bits, kappa: int) -> _Consensus:
    """Steps 6 to 8: the consensus of the weighted votes and what is left of each vote under it."""
    voices = voice[:, None]
    before = multiply(weights, voices).sum(axis=0, dtype=np.uint64)
    consensus = weighted_median(voice, weights, kappa)
    clipped = np.minimum(weights, consensus)
    ranks = multiply(clipped, voices).sum(axis=0, dtype=np.uint64)
    return _Consensus(
        consensus=consensus,
        clipped=clipped,
        validator_trust=clipped.sum(axis=1, dtype=np.uint64),
        trust=divide(ranks, before),
        incentive=normalise(ranks),
    )


def _settle(
    given: EpochInput,
    frame: Frame,
    agreed: _Consensus,
    bonds: Bits,
    dividends: Bits,
    permits: Flags,
    active_stake: Bits,
    share: Bits,
    active: Flags,
) -> EpochResult:
    """Steps 11 and 12: emission, and the vectors as the chain stores them."""
    total = agreed.incentive.sum(dtype=np.uint64) + dividends.sum(dtype=np.uint64)
    server, validator = divide(agreed.incentive, total), divide(dividends, total)
    combined = divide(agreed.incentive + dividends, total)
    if int(total) == 0:
        # Nobody earned anything: emission falls back to stake, the active part of it if there is one.
        validator = combined = active_stake if active_stake.any() else share
    validator_trust = np.zeros(given.size, dtype=np.uint64)
    validator_trust[frame.rows] = agreed.validator_trust
    stored = to_u16(bonds)
    stored[~permits[frame.rows]] = 0
    incentive = _ints(to_u16(agreed.incentive))
    return EpochResult(
        active=tuple(active.tolist()),
        permits=tuple(permits.tolist()),
        rank=incentive,
        trust=_ints(to_u16(agreed.trust)),
        consensus=_ints(to_u16(agreed.consensus)),
        incentive=incentive,
        dividends=_ints(to_u16(dividends)),
        validator_trust=_ints(to_u16(validator_trust)),
        pruning=_ints(upscale_to_u16(combined)),
        server_emission=scale(server, given.emission),
        validator_emission=scale(validator, given.emission),
        emission=scale(combined, given.emission),
        bonds=SparseRows.from_dense(frame.rows, stored),
    )


def _ints(values: npt.NDArray[np.uint16]) -> tuple[int, ...]:
    return tuple(values.tolist())
