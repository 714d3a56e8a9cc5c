"""A commitment to parts in their order: each can be opened alone, none can be changed afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

LEAF: Final = b"ranvier-leaf/1\0"
NODE: Final = b"ranvier-node/1\0"
ROOT: Final = b"ranvier-root/1\0"
SIZE: Final = 32
"""Bytes of a root and of every hash of a path."""


def root_of(parts: Sequence[bytes]) -> bytes:
    """The commitment to ``parts``, their number included. Raises ValueError for none."""
    if not parts:
        raise ValueError("there is nothing to commit to")
    return _sealed(_levels([_leaf(number, part) for number, part in enumerate(parts)])[-1][0], len(parts))


def path_of(parts: Sequence[bytes], number: int) -> tuple[bytes, ...]:
    """What opens part ``number`` (from 0) beside the part itself, from the leaf upwards."""
    found, place = [], number
    for level in _levels([_leaf(place, part) for place, part in enumerate(parts)])[:-1]:
        beside = place ^ 1
        if beside < len(level):
            found.append(level[beside])
        place //= 2
    return tuple(found)


def opens(root: bytes, count: int, number: int, part: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``part`` is number ``number`` of the ``count`` that ``root`` commits to. Never raises for a bad path."""
    if not 0 <= number < count:
        return False
    node, place, width, rest = _leaf(number, part), number, count, list(path)
    while width > 1:
        beside = place ^ 1
        if beside < width:
            if not rest:
                return False
            other = rest.pop(0)
            node = _node(other, node) if place & 1 else _node(node, other)
        place, width = place // 2, (width + 1) // 2
    return not rest and _sealed(node, count) == root


def _levels(leaves: list[bytes]) -> list[list[bytes]]:
    """From the leaves to the top; who has no neighbour goes up as it is."""
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append(
            [
                _node(*below[start : start + 2]) if start + 1 < len(below) else below[start]
                for start in range(0, len(below), 2)
            ]
        )
    return levels


def _leaf(number: int, part: bytes) -> bytes:
    return hashlib.sha256(LEAF + number.to_bytes(4, "big") + part).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE + left + right).digest()


def _sealed(top: bytes, count: int) -> bytes:
    return hashlib.sha256(ROOT + count.to_bytes(4, "big") + top).digest()
