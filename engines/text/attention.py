"""Attention over a pack: each sequence sees its own tokens only, so that its neighbours do not move its numbers."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch.nn.functional import scaled_dot_product_attention as attend
from transformers import AttentionInterface

from ranvier.engines.text.kernel import attend_newest, suits
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
    rows_of = query[0].transpose(0, 1)  # (tokens, heads, size)
    seen = query.new_empty((*rows_of.shape[:2], value.shape[3]))
    newest = packing.newest if cached and suits(query, value) else None
    if newest is not None:
        scale = scaling if scaling is not None else query.shape[3] ** -0.5
        attend_newest(rows_of, key, value, newest, sliding_window, scale, seen)
    for start, new, rows, slot, length in packing.runs:
        if new == 1 and newest is not None:
            continue
        held = slice(slot, slot + rows) if cached else slice(None)
        upto = slice(length) if cached else slice(start, start + new)
        keys, values = key[held, :, upto], value[held, :, upto]
        if new == 1:
            seen[start : start + rows] = _newest(
                rows_of[start : start + rows], keys, values, scaling, sliding_window
            )
        else:
            one = _attend(query[:, :, start : start + new], keys, values, scaling, sliding_window)
            seen[start : start + new] = one[0].transpose(0, 1)
    return seen[None], None


def _newest(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, window: int | None
) -> torch.Tensor:
    """One query for each row, (rows, heads, size), that sees all keys.

    Heads that share keys stand where positions would, so that nothing is repeated. A step of 32 writers comes here a
    thousand times: beside calls this short, each further view of a tensor would be felt.
    """
    if window is not None:
        key, value = key[:, :, -window:], value[:, :, -window:]
    rows, heads, size = query.shape
    together = query.reshape(rows, key.shape[1], -1, size)
    return attend(together, key, value, scale=scaling).reshape(rows, heads, -1)


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, window: int | None
) -> torch.Tensor:
    """Causal attention of several new tokens, (1, heads, tokens, size); the last query belongs to the last key."""
    grouped, new = query.shape[1] // key.shape[1], query.shape[2]
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
