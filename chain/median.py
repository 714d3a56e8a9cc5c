"""The stake-weighted median that makes consensus of many weights."""

from __future__ import annotations

import numpy as np

from ranvier.chain.fixed import Bits, normalise

_ROW_BITS = np.uint64(20)
_ROW_MASK = np.uint64((1 << 20) - 1)


def weighted_median(stake: Bits, scores: Bits, majority: int) -> Bits:
    """For each column of `scores` the largest score that at least `majority` of the stake supports.

    `stake` is (rows,) I32F32 bits, rows without stake have no voice; `scores` is (rows, columns) with values
    at most one; `majority` are the bits of kappa. Per column it is the smallest score v whose stake over all
    scores <= v exceeds (total - majority) strictly, so with kappa just under one half an even split takes the
    higher score. Without any stake the result is 0. When nothing exceeds (kappa 0) the highest score stands,
    as in the runtime's recursive search.
    """
    voices = np.flatnonzero(stake)
    if len(voices) == 0:
        return np.zeros(scores.shape[1], dtype=np.uint64)
    weight = normalise(stake[voices])
    minority = int(weight.sum(dtype=np.uint64)) - majority
    columns = np.ascontiguousarray(scores[voices].T)
    # One integer sort orders score and voter together: 33 bits of score above 20 bits of row.
    keys = np.sort((columns << _ROW_BITS) | np.arange(len(voices), dtype=np.uint64), axis=1)
    cumulative = np.cumsum(weight[(keys & _ROW_MASK).astype(np.int64)], axis=1)
    below = (cumulative.astype(np.int64) <= minority).sum(axis=1)
    chosen = np.minimum(below, len(voices) - 1)
    medians: Bits = keys[np.arange(len(keys)), chosen] >> _ROW_BITS
    return medians
