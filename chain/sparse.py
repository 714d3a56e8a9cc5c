"""Sparse u16 matrices as the chain stores weights and bonds: (row uid, column uid, value) triples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ranvier.chain.errors import MalformedEpoch

_U16_MAX = 65535


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A u16 matrix by its listed entries. A pair appears at most once; a listed value may be 0."""

    rows: npt.NDArray[np.int64]
    cols: npt.NDArray[np.int64]
    values: npt.NDArray[np.uint16]

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.cols) == len(self.values):
            raise MalformedEpoch(
                "a sparse matrix needs as many rows as columns as values; "
                f"got {len(self.rows)}, {len(self.cols)}, {len(self.values)}"
            )

    @classmethod
    def empty(cls) -> SparseRows:
        """A matrix without entries."""
        return cls.from_dict({})

    @classmethod
    def from_dict(cls, entries: Mapping[int, Mapping[int, int]]) -> SparseRows:
        """From {row uid: {column uid: value}}. Raises `MalformedEpoch` for a value outside u16."""
        counts = [len(row) for row in entries.values()]
        values = [value for row in entries.values() for value in row.values()]
        if values and not (min(values) >= 0 and max(values) <= _U16_MAX):
            raise MalformedEpoch("a weight or bond lies outside 0..65535; upscale the row before storing it")
        return cls(
            np.repeat(np.fromiter(entries, dtype=np.int64, count=len(counts)), counts),
            np.array([column for row in entries.values() for column in row], dtype=np.int64),
            np.array(values, dtype=np.uint16),
        )

    def to_dict(self) -> dict[int, dict[int, int]]:
        """As {row uid: {column uid: value}}; rows without entries are absent."""
        starts = (
            [0, *(np.flatnonzero(np.diff(self.rows)) + 1).tolist(), len(self.rows)] if len(self.rows) else [0]
        )
        cols, values = self.cols.tolist(), self.values.tolist()
        entries: dict[int, dict[int, int]] = {}
        for start, end in pairwise(starts):
            row = entries.setdefault(int(self.rows[start]), {})
            row.update(zip(cols[start:end], values[start:end], strict=True))
        return entries

    def dense(self, rows: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint64]:
        """The named rows as a (len(rows), size) array; entries of other rows are left out."""
        place = np.full(size, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        kept = place[self.rows] >= 0
        matrix = np.zeros((len(rows), size), dtype=np.uint64)
        matrix[place[self.rows[kept]], self.cols[kept]] = self.values[kept]
        return matrix

    def listed(self, rows: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.bool_]:
        """Which entries of the named rows are there, those with value 0 too; shape as of `dense`."""
        here = SparseRows(self.rows, self.cols, np.ones_like(self.values))
        return here.dense(rows, size) > 0

    @classmethod
    def from_dense(cls, rows: npt.NDArray[np.int64], matrix: npt.NDArray[np.uint16]) -> SparseRows:
        """The entries above zero of a (len(rows), n) array whose i-th row belongs to uid rows[i]."""
        at, cols = np.nonzero(matrix)
        return cls(rows[at], cols.astype(np.int64), matrix[at, cols])
