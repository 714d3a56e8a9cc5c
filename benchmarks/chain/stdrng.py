"""The random numbers of Rust's `StdRng` (rand 0.8) as Subtensor's own map of the guarantees draws them.

That map is one draw: its generator always starts from seed 0. So it can be drawn again: ChaCha with 12 rounds, keyed by
PCG32 from the seed, a u16 from each word, two of them for a normal number (Box-Muller).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_Words = npt.NDArray[np.uint32]
_CONSTANTS: Final = np.frombuffer(b"expand 32-byte k", dtype="<u4")
_ROUNDS: Final = 12
_COLUMNS: Final = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
_DIAGONALS: Final = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
_BELOW: Final = 65535
"""The u16 numbers drawn lie below it; so does 1 in the scale that they stand for."""
_AWAY_FROM_ZERO: Final = 1e-6


class Normals:
    """Normal numbers from a seed, in the order in which they are asked for; `limit` is the most that can be."""

    def __init__(self, seed: int, limit: int) -> None:
        words = _words(seed, 2 * limit).astype(np.uint64)
        self._uniform = (words * np.uint64(_BELOW) >> np.uint64(32)) / _BELOW
        self._place = 0

    def take(self, count: int) -> Floats:
        """The next ones: radii from the first half of what they are made of, angles from the second."""
        drawn = self._uniform[self._place : self._place + 2 * count] + _AWAY_FROM_ZERO
        self._place += 2 * count
        radii = np.sqrt(np.maximum(-2 * np.log(drawn[:count]), 0))
        found: Floats = radii * np.cos(2 * np.pi * drawn[count:])
        return found


def _words(seed: int, count: int) -> _Words:
    """The first 32-bit words of ChaCha's stream, all blocks at once."""
    blocks = -(-count // 16)
    start = np.zeros((16, blocks), dtype=np.uint32)
    start[:4], start[4:12] = _CONSTANTS[:, None], _key(seed)[:, None]
    start[12] = np.arange(blocks, dtype=np.uint32)
    state = start.copy()
    for _ in range(_ROUNDS // 2):
        for quarter in (*_COLUMNS, *_DIAGONALS):
            _mix(state, *quarter)
    stream: _Words = (state + start).T.reshape(-1)[:count]
    return stream


def _mix(state: _Words, a: int, b: int, c: int, d: int) -> None:
    for to, by, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[to] += state[by]
        crossed = state[turned] ^ state[to]
        state[turned] = crossed << np.uint32(bits) | crossed >> np.uint32(32 - bits)


def _key(seed: int) -> _Words:
    """Eight words of PCG32."""
    words = []
    for _ in range(8):
        seed = (seed * 6364136223846793005 + 11634580027462260723) % 2**64
        word, turn = (seed >> 18 ^ seed) >> 27 & 0xFFFFFFFF, seed >> 59
        words.append((word >> turn | word << (32 - turn)) & 0xFFFFFFFF)
    return np.array(words, dtype=np.uint32)
