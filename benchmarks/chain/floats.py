"""The rival: the rules of 2024 in plain float64, as such things are usually written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ranvier.chain.epoch_input import EpochInput
from ranvier.chain.sparse import SparseRows
from ranvier.chain.yuma import epoch

VECTORS: Final = ("consensus", "incentive", "dividends", "validator_trust", "trust")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What both forms store: u16 vectors by name, rao per uid, bonds (uid, uid) as u16."""

    vectors: dict[str, npt.NDArray[np.int64]]
    emission: npt.NDArray[np.int64]
    bonds: npt.NDArray[np.int64]
    rows: SparseRows


def exact(given: EpochInput) -> Outcome:
    """Ours, as arrays."""
    got = epoch(given)
    vectors = {name: np.array(getattr(got, name), dtype=np.int64) for name in VECTORS}
    return Outcome(vectors, np.array(got.emission, dtype=np.int64), _square(got.bonds, given.size), got.bonds)


def plain(given: EpochInput) -> Outcome:
    """The rules of 2024 in plain float64, for validators that are all active and permitted."""
    rows = np.flatnonzero(given.permitted)
    stake = np.array(given.stake, dtype=np.float64)[rows]
    voice = stake / stake.sum()
    weights = given.weights.dense(rows, given.size).astype(np.float64)
    weights[np.arange(len(rows)), rows] = 0
    weights = _normal(weights, 1)
    before = voice @ weights
    order = np.argsort(weights, axis=0)
    reached = np.cumsum(voice[order], axis=0) > 1 - given.params.kappa / 65535
    consensus = np.take_along_axis(weights, order, 0)[reached.argmax(axis=0), np.arange(given.size)]
    clipped = np.minimum(weights, consensus)
    ranks = voice @ clipped
    incentive = ranks / ranks.sum()
    alpha = 1 - given.params.bonds_moving_average / 1e6
    held = _normal(given.bonds.dense(rows, given.size).astype(np.float64), 0)
    bonds = _normal(alpha * _normal(clipped * voice[:, None], 0) + (1 - alpha) * held, 0)
    dividends = np.zeros(given.size)
    dividends[rows] = bonds @ incentive
    dividends /= dividends.sum()
    peak = bonds.max(axis=0)
    stored = _u16(np.divide(bonds, peak, out=np.zeros_like(bonds), where=peak > 0))
    trust = np.divide(ranks, before, out=np.zeros_like(ranks), where=before > 0)
    seen = np.zeros(given.size)
    seen[rows] = clipped.sum(axis=1)
    values = (consensus, incentive, dividends, seen, trust)
    kept = SparseRows.from_dense(rows, stored.astype(np.uint16))
    emission = np.floor((incentive + dividends) / 2 * given.emission).astype(np.int64)
    vectors = {name: _u16(value) for name, value in zip(VECTORS, values, strict=True)}
    return Outcome(vectors, emission, _square(kept, given.size), kept)


def _normal(values: Floats, axis: int) -> Floats:
    total = values.sum(axis=axis, keepdims=True)
    shares: Floats = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    return shares


def _u16(values: Floats) -> npt.NDArray[np.int64]:
    stored: npt.NDArray[np.int64] = np.floor(np.minimum(values, 1) * 65535).astype(np.int64)
    return stored


def _square(bonds: SparseRows, size: int) -> npt.NDArray[np.int64]:
    return bonds.dense(np.arange(size), size).astype(np.int64)
