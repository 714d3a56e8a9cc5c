"""Attention row by row: each row sees its own tokens only, so that its neighbours' lengths do not move its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch.nn.functional import scaled_dot_product_attention as attend
from transformers import AttentionInterface

NAME: Final = "ranvier_rows"


def by_rows(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    row_lengths: Sequence[int],
    scaling: float | None = None,
    **_unused: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers' attention functions; rows are left-padded, ``row_lengths`` counts tokens, new ones included.

    A mask over padded rows takes other kernels than no mask, and in bf16 that moves logits by more than one.
    Rows of equal length need no care and go together.
    """
    rows, heads, new, _ = query.shape
    out = query.new_zeros((rows, new, heads, value.shape[-1]))
    for first, last, length in _runs(row_lengths):
        asked = min(new, length)
        seen = attend_rows(
            query[first:last, :, new - asked :],
            key[first:last, :, -length:],
            value[first:last, :, -length:],
            scaling,
        )
        out[first:last, new - asked :] = seen.transpose(1, 2)
    return out, None


def attend_rows(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """Causal attention without padding; the newest query belongs to the newest key."""
    rows, heads, new, size = query.shape
    grouped = heads // key.shape[1]
    if new == 1:  # heads that share keys stand where positions would: nothing is repeated
        packed = query.reshape(rows, key.shape[1], grouped, size)
        return attend(packed, key, value, scale=scaling).reshape(rows, heads, 1, -1)
    key, value = key.repeat_interleave(grouped, 1), value.repeat_interleave(grouped, 1)
    if new == key.shape[2]:
        return attend(query, key, value, is_causal=True, scale=scaling)
    old = key.shape[2] - new
    visible = torch.ones((new, key.shape[2]), dtype=torch.bool, device=query.device).tril(old)
    return attend(query, key, value, attn_mask=visible, scale=scaling)


def _runs(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Neighbours of equal length: from, to, length."""
    runs: list[tuple[int, int, int]] = []
    for place, length in enumerate(lengths):
        if runs and runs[-1][2] == length:
            runs[-1] = runs[-1][0], place + 1, length
        else:
            runs.append((place, place + 1, length))
    return runs


def register() -> str:
    """Make it known to transformers, and return its name."""
    AttentionInterface.register(NAME, by_rows)
    return NAME
