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
    U16_MAX,
    Bits,
    Flags,
    divide,
    multiply,
    normalise,
    ratio,
    scale,
    shares,
    to_u16,
    upscale_to_u16,
)
from ranvier.chain.frame import Agreement, Frame
from ranvier.chain.median import weighted_median
from ranvier.chain.sparse import SparseRows
from ranvier.chain.variants import Variant, variant_named


@dataclass(frozen=True, eq=False)
class _Standing:
    """Steps 1 to 4, per uid: each one's share of all stake, and of the stake that votes."""

    active: Flags
    share: Bits
    voting: Bits
    permits: Flags


@dataclass(frozen=True, eq=False)
class _Pay:
    """Step 11: shares of the emission per uid."""

    server: Bits
    validator: Bits
    combined: Bits


def epoch(given: EpochInput) -> EpochResult:
    """Run one epoch; pure. Raises `MalformedEpoch` for an unknown variant."""
    variant = variant_named(given.variant)
    standing = _stand(given, variant)
    frame = _lay_out(given, standing.voting, variant)
    agreed = _agree(given, frame)
    stored = given.bonds.dense(frame.rows, given.size)
    stored[variant.stale_bonds(given, frame)] = 0
    bonds, payout = variant.bonds(given, frame, agreed, variant.buying(given, agreed), stored)
    return _settle(given, frame, standing, agreed, bonds, _spread(payout, frame, given.size))


def _stand(given: EpochInput, variant: Variant) -> _Standing:
    """Steps 1 to 4. Votes count by the permits of the last epoch; the new ones are for the next."""
    share = shares(given.effective_stake())
    silent = given.block > given.updates + given.params.activity_cutoff
    voting = normalise(np.where(silent | ~given.permitted, np.uint64(0), share))
    return _Standing(~silent, share, voting, variant.permits(given, share))


def _lay_out(given: EpochInput, voting: Bits, variant: Variant) -> Frame:
    """Choose the rows that can matter: stake with a voice, permitted weight rows, any bond row. Then step 5's masks."""
    used = voting > 0
    used[given.weights.rows] = True
    used &= given.permitted
    used[given.bonds.rows] = True
    rows = np.flatnonzero(used)
    outdated = given.updates[rows, None] <= given.registrations[None, :]
    void = outdated.copy()
    if variant.late and given.commits:
        # A commitment made before uid j came cannot mean who sits there now.
        void |= given.promises[rows, None] < given.registrations[None, :]
    itself = np.arange(len(rows))
    void[itself, rows] |= rows != given.params.owner_uid if variant.late else True
    void[~given.permitted[rows]] = True
    return Frame(rows, voting[rows], outdated, void)


def _agree(given: EpochInput, frame: Frame) -> Agreement:
    """Steps 5 to 8: the consensus of the weighted votes and what is left of each vote under it.

    Raw u16 integers and I32F32 integers have the same quotients, so a row's sum may be taken before the conversion.
    """
    raw = given.weights.dense(frame.rows, given.size)
    raw[frame.void] = 0
    weights = normalise(raw, axis=1)
    voices = frame.voice[:, None]
    before = multiply(weights, voices).sum(axis=0, dtype=np.uint64)
    consensus = weighted_median(frame.voice, weights, ratio(given.params.kappa, U16_MAX))
    clipped = np.minimum(weights, consensus)
    ranks = multiply(clipped, voices).sum(axis=0, dtype=np.uint64)
    return Agreement(
        weights=weights,
        consensus=consensus,
        clipped=clipped,
        validator_trust=clipped.sum(axis=1, dtype=np.uint64),
        trust=divide(ranks, before),
        incentive=normalise(ranks),
    )


def _pay(standing: _Standing, incentive: Bits, dividends: Bits) -> _Pay:
    """Step 11: half to servers, half to validators. Where nobody earned, stake is paid, if possible voting."""
    total = incentive.sum(dtype=np.uint64) + dividends.sum(dtype=np.uint64)
    if int(total) == 0:
        by_stake = standing.voting if standing.voting.any() else standing.share
        return _Pay(np.zeros_like(by_stake), by_stake, by_stake)
    return _Pay(divide(incentive, total), divide(dividends, total), divide(incentive + dividends, total))


def _settle(
    given: EpochInput,
    frame: Frame,
    standing: _Standing,
    agreed: Agreement,
    bonds: Bits,
    dividends: Bits,
) -> EpochResult:
    """Steps 11 and 12: emission, and the vectors as the chain stores them."""
    pay = _pay(standing, agreed.incentive, dividends)
    stored = to_u16(bonds)
    stored[~standing.permits[frame.rows]] = 0
    incentive = _ints(to_u16(agreed.incentive))
    return EpochResult(
        active=tuple(standing.active.tolist()),
        permits=tuple(standing.permits.tolist()),
        rank=incentive,
        trust=_ints(to_u16(agreed.trust)),
        consensus=_ints(to_u16(agreed.consensus)),
        incentive=incentive,
        dividends=_ints(to_u16(dividends)),
        validator_trust=_ints(to_u16(_spread(agreed.validator_trust, frame, given.size))),
        pruning=_ints(upscale_to_u16(pay.combined)),
        server_emission=scale(pay.server, given.emission),
        validator_emission=scale(pay.validator, given.emission),
        emission=scale(pay.combined, given.emission),
        bonds=SparseRows.from_dense(frame.rows, stored),
    )


def _spread(values: Bits, frame: Frame, size: int) -> Bits:
    """One value per laid-out row, at its uid among zeros."""
    spread = np.zeros(size, dtype=np.uint64)
    spread[frame.rows] = values
    return spread


def _ints(values: npt.NDArray[np.uint16]) -> tuple[int, ...]:
    return tuple(values.tolist())
