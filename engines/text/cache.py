"""Keys and values that grow in place: appending a token copies that token, not all that came before it."""

from __future__ import annotations

from typing import Any, Final

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

SPARE: Final = 128
"""Positions that are reserved beyond those in use whenever a buffer is made."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]  # transformers has no types
    """`keys` and `values` are views of the used part of a larger buffer, shape (rows, heads, positions, size)."""

    keys: Any
    values: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._buffers: tuple[torch.Tensor, torch.Tensor] | None = None
        self._view: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append, and return all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used = self.keys.shape[-2] if self.keys.numel() else 0
        end = used + key_states.shape[-2]
        # Rows that joined or left replace `keys`; the buffer then belongs to nobody.
        if self._buffers is None or self._view is not self.keys or end > self._buffers[0].shape[2]:
            self._buffers = (
                _grown(self.keys, key_states, used, end),
                _grown(self.values, value_states, used, end),
            )
        keys, values = self._buffers
        keys[:, :, used:end], values[:, :, used:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        self._view = self.keys
        return self.keys, self.values


def growing_cache(config: Any) -> DynamicCache:
    """An empty cache for a model that attends to everything."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() for _ in range(config.num_hidden_layers)]
    return cache


def _grown(old: torch.Tensor, new: torch.Tensor, used: int, end: int) -> torch.Tensor:
    rows, heads, _, size = new.shape
    buffer = new.new_empty((rows, heads, end + SPARE, size))
    if used:
        buffer[:, :, :used] = old
    return buffer
