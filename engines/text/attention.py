"""Attention over a pack: each sequence sees its own tokens only, so that its neighbours do not move its numbers."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch.nn.functional import scaled_dot_product_attention as attend
from transformers import AttentionInterface

from ranvier.engines.text.packing import Packing

NAME: Final = "ranvier_packed"


def packed(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    packing: Packing,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_unused: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers' attention functions. ``key`` and ``value`` are the cache's buffers, or without one the pack's.

    A mask over padded rows takes other kernels than no mask, and in bf16 that moves logits by more than one: on a
    CPU every sequence is attended to by itself. On a GPU a step of decoding is one masked call, as launches cost more.
    """
    cached = packing.cached
    if cached and packing.single and query.is_cuda:
        return decode_masked(query, key, value, packing, scaling, sliding_window), None
    tokens, heads = query.shape[2], query.shape[1]
    out = query.new_empty((1, tokens, heads, value.shape[-1]))
    for start, new, rows, slot, length in packing.runs:
        asked = query[0, :, start : start + new * rows].unflatten(1, (rows, new)).transpose(0, 1)
        held = slice(slot, slot + rows) if cached else slice(None)
        upto = slice(length) if cached else slice(start, start + new)
        seen = _attend(asked, key[held, :, upto], value[held, :, upto], scaling, sliding_window)
        out[0, start : start + new * rows] = seen.transpose(1, 2).flatten(0, 1)
    return out, None


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, window: int | None
) -> torch.Tensor:
    """Causal attention, (rows, heads, tokens, size); the newest query belongs to the newest key."""
    rows, heads, new, size = query.shape
    grouped = heads // key.shape[1]
    if new == 1:  # heads that share keys stand where positions would: nothing is repeated
        if window is not None:
            key, value = key[:, :, -window:], value[:, :, -window:]
        together = query.reshape(rows, key.shape[1], grouped, size)
        return attend(together, key, value, scale=scaling).reshape(rows, heads, 1, -1)
    key, value = key.repeat_interleave(grouped, 1), value.repeat_interleave(grouped, 1)
    if new == key.shape[2] and (window is None or new <= window):
        return attend(query, key, value, is_causal=True, scale=scaling)
    old = key.shape[2] - new
    visible = torch.ones((new, key.shape[2]), dtype=torch.bool, device=query.device).tril(old)
    if window is not None:
        visible = visible.triu(old - window + 1)
    return attend(query, key, value, attn_mask=visible, scale=scaling)


def decode_masked(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packing: Packing,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """One token for each part in one call: all slots under a mask. Returns shape (1, tokens, heads, size)."""
    heads, size = query.shape[1], query.shape[3]
    slots, width = packing.most_slots, packing.longest
    key, value = key[:slots, :, :width], value[:slots, :, :width]
    rows = query.new_zeros((slots, heads, size))
    rows[packing.slots] = query[0].transpose(0, 1)
    last = torch.zeros(slots, dtype=torch.long, device=query.device)
    last[packing.slots] = packing.positions
    place = torch.arange(width, device=query.device)
    visible = place <= last[:, None]
    if window is not None:
        visible &= place > last[:, None] - window
    together = rows.view(slots, key.shape[1], -1, size)
    seen = attend(together, key, value, attn_mask=visible[:, None, None], scale=scaling)
    return seen.reshape(slots, heads, -1)[packing.slots][None]


def register() -> str:
    """Make it known to transformers, and return its name."""
    AttentionInterface.register(NAME, packed)
    return NAME
