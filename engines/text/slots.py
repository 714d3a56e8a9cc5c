"""Which slot of the cache a newcomer gets, and what it need not read again because a slot holds it already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ranvier.engines.text.cache import SlotCache

KEPT: Final = 256 << 20
"""Bytes of keys and values that are kept while nobody writes, for those who ask with the same beginning."""
SHARED: Final = 16
"""Tokens that a beginning must have in common to be worth a copy."""


class Slots:
    """Slots with the tokens that each holds. What left is remembered until its slot is needed."""

    def __init__(self) -> None:
        self.cache = SlotCache()
        self._held: dict[int, list[int]] = {}
        self._free: list[int] = []
        """Those whose row has left, the one that left first in front."""

    def take(self, prompt: Sequence[int]) -> tuple[int, int]:
        """A slot, and how many of the prompt's tokens it holds; the last token is always to be read again."""
        shared = {slot: _common(held, prompt) for slot, held in self._held.items()}
        best = max(shared, key=lambda slot: (shared[slot], slot in self._free), default=None)
        if best is None or shared[best] < SHARED:
            return self._fresh(), 0
        if best in self._free:
            self._free.remove(best)
            slot = best
        else:
            slot = self._fresh()
            self.cache.copy(best, slot, shared[best])
        self._held[slot] = list(prompt[: shared[best]])
        return slot, shared[best]

    def hold(self, slot: int, tokens: Sequence[int]) -> None:
        """Say what a slot holds now."""
        self._held[slot] = list(tokens)

    def leave(self, slot: int) -> None:
        """Its row has gone."""
        self._free.append(slot)
        if len(self._free) == len(self._held) and self.cache.bytes > KEPT:
            self.clear()

    @property
    def count(self) -> int:
        """Slots, in use or not."""
        return len(self._held)

    def compact(self, kept: list[int]) -> None:
        """Forget all slots but these, which become 0, 1, ..., no wider than what they hold."""
        self.cache.keep(kept, max(len(self._held[slot]) for slot in kept))
        self._held, self._free = {new: self._held[old] for new, old in enumerate(kept)}, []

    def clear(self) -> None:
        """Forget all; nobody writes."""
        self.cache, self._held, self._free = SlotCache(), {}, []

    def _fresh(self) -> int:
        slot = self._free.pop(0) if self._free else len(self._held)
        self._held[slot] = []
        return slot


def _common(held: Sequence[int], prompt: Sequence[int]) -> int:
    pairs = enumerate(zip(held, prompt[:-1], strict=False))
    return next((place for place, (one, two) in pairs if one != two), min(len(held), len(prompt) - 1))
