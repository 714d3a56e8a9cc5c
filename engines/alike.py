"""Rows of one length in one batch: no row is padded, so that none sees who else was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of equal length together, at most ``most`` at a time, short rows first.

    On a CPU in float32 a row then has the same bits alone and in any batch (docs/classifiers.md has the figures).
    """
    groups: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        groups.setdefault(length, []).append(place)
    for length in sorted(groups):
        places = groups[length]
        for start in range(0, len(places), most):
            yield places[start : start + most]
