"""Keys and values of several sequences, each in a slot of its own: who joins or leaves moves nobody else's."""

from __future__ import annotations

from typing import Any, Final

import torch

from ranvier.engines.text.packing import Packing

SPARE: Final = 128
"""Positions that are reserved beyond those in use whenever a buffer is made."""


class SlotCache:
    """What transformers calls a cache, for packs: set `packing` before each pass.

    Buffers have the shape (slots, heads, positions, size) and grow; a slot is free to whoever names it.
    """

    def __init__(self) -> None:
        self.packing: Packing | None = None
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def bytes(self) -> int:
        """Memory of all buffers."""
        return sum(buffer.nbytes for pair in self._layers.values() for buffer in pair)

    @property
    def positions(self) -> int:
        """How wide the buffers are."""
        return max((keys.shape[2] for keys, _ in self._layers.values()), default=0)

    def keep(self, slots: list[int], positions: int) -> None:
        """Only these slots, in this order, and so many positions of each."""
        with torch.inference_mode():
            for index, pair in self._layers.items():
                keys, values = (_grown(buffer, 1 + max(slots), buffer.shape[2]) for buffer in pair)
                self._layers[index] = keys[slots, :, :positions], values[slots, :, :positions]

    def copy(self, source: int, target: int, count: int) -> None:
        """The first ``count`` positions of one slot into another."""
        with torch.inference_mode():
            for index, pair in self._layers.items():
                keys, values = (_grown(buffer, target + 1, buffer.shape[2]) for buffer in pair)
                keys[target, :, :count] = keys[source, :, :count]
                values[target, :, :count] = values[source, :, :count]
                self._layers[index] = keys, values

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a pack's keys and values, shape (1, heads, tokens, size); returns the whole buffers."""
        assert self.packing is not None, "the caller names the packing"
        keys, values = self._layers.get(layer) or (key[:, :, :0], value[:, :, :0])
        slots, positions = self.packing.most_slots, self.packing.longest
        if slots > len(keys) or positions > keys.shape[2]:
            positions = positions if positions <= keys.shape[2] else positions + SPARE
            keys, values = _grown(keys, slots, positions), _grown(values, slots, positions)
            self._layers[layer] = keys, values
        where = self.packing.slots, slice(None), self.packing.positions
        keys[where], values[where] = key[0].transpose(0, 1), value[0].transpose(0, 1)
        return keys, values


def _grown(old: torch.Tensor, slots: int, positions: int) -> torch.Tensor:
    """The same contents with room for so many at least. Zeros: what nobody attends to must still be a number."""
    held, heads, used, size = old.shape
    if slots <= held and positions <= used:
        return old
    buffer = old.new_zeros((max(slots, held), heads, max(positions, used), size))
    buffer[:held, :, :used] = old
    return buffer
