"""Drafts of pictures: what a caption's words say is laid out as layers, before any noise is looked at.

Three questions are asked of the words: what the ground looks like, and of each of two objects what it looks like and
where it lies. An object's look is drawn once, on a small canvas of its own, and then laid on the picture in the size
and at the place that were read: so what is learnt of an apple at the left holds for an apple at the right as well.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn

OBJECTS: Final = 2
CANVAS: Final = 20
"""Side of an object's own canvas, in pixels: about the size of a large object."""
SIZE: Final = 32
"""Side of the picture."""
_HIDDEN: Final = 512


class Drafter(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """States of words to drafts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.questions = nn.Parameter(torch.randn(1 + OBJECTS, width))
        layer = nn.TransformerDecoderLayer(
            width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.reader = nn.TransformerDecoder(layer, num_layers=2)
        self.norm = nn.LayerNorm(width)
        self.ground = nn.Linear(width, 3)
        self.where = nn.Linear(width, 3)
        self.look = nn.Sequential(
            nn.Linear(width, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, 4 * CANVAS**2),
        )

    def forward(self, states: Any, mask: Any) -> tuple[Any, Any]:
        """Drafts (n, 3, SIZE, SIZE) about [-1, 1], and where the objects lie (n, OBJECTS, 3): see `placement`."""
        asked = self.questions.expand(len(states), -1, -1)
        told = self.norm(self.reader(asked, states, memory_key_padding_mask=~mask))
        where = self.where(told[:, 1:]).float()
        looks = self.look(told[:, 1:]).float().unflatten(-1, (4, CANVAS, CANVAS))
        picture = self.ground(told[:, 0]).float()[:, :, None, None].expand(-1, -1, SIZE, SIZE)
        for number in range(OBJECTS):
            picture = _lay(picture, looks[:, number], where[:, number])
        return picture, where


def placement(across: float, down: float, half: float) -> tuple[float, float, float]:
    """What `Drafter` says of an object whose canvas has its middle there and reaches ``half`` pixels every way."""
    return (across / (SIZE / 2) - 1, down / (SIZE / 2) - 1, float(torch.tensor(half / (SIZE / 4)).log()))


def _lay(picture: Any, look: Any, where: Any) -> Any:
    """One object over the picture. In single precision whatever the weights have: places are finer than bfloat16."""
    middle, half = (where[:, :2] + 1) * (SIZE / 2), where[:, 2:].clamp(-2, 1).exp() * (SIZE / 4)
    pixels = torch.arange(SIZE, device=where.device) + 0.5
    # Pixels of the picture in pixels of the canvas, (n, across and down, SIZE); bilinear weights of each.
    place = ((pixels - middle[..., None]) / half[..., None] + 1) * (CANVAS / 2) - 0.5
    weights = (1 - (place[..., None] - torch.arange(CANVAS, device=where.device)).abs()).clamp(min=0)
    cover = look[:, 3:].sigmoid()
    layers = torch.cat([look[:, :3] * cover, cover], dim=1)
    laid = weights[:, None, 1] @ layers @ weights[:, None, 0].transpose(-1, -2)
    return picture * (1 - laid[:, 3:]) + laid[:, :3]
