"""The caption encoder of the scenes model: a closed vocabulary and two transformer layers, trained with the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

WORDS: Final = (
    *("<pad>", "<none>", "<unknown>", "a", "and", "at", "the", "on", "ground"),
    *(
        "red",
        "orange",
        "yellow",
        "green",
        "teal",
        "blue",
        "purple",
        "pink",
        "brown",
        "black",
        "white",
        "grey",
    ),
    *("circle", "square", "triangle", "star", "ring", "cross", "diamond", "crescent"),
    *("small", "medium", "large", "top", "bottom", "left", "right", "plain", "striped", "spotted", "shaded"),
)
LENGTH: Final = 28
"""Words that are read; longer captions are cut."""
WIDTH: Final = 128
_INDEX: Final = {word: number for number, word in enumerate(WORDS)}


def encode_words(captions: Sequence[str]) -> Any:
    """Word numbers, shape (captions, LENGTH). An empty caption is ``<none>``: guidance steers away from it."""
    rows = []
    for caption in captions:
        words = re.findall(r"[a-z]+", caption.lower())[:LENGTH] or ["<none>"]
        numbers = [_INDEX.get(word, _INDEX["<unknown>"]) for word in words]
        rows.append(numbers + [0] * (LENGTH - len(numbers)))
    return torch.tensor(rows)


class CaptionEncoder(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers has no types
    """Word numbers to states of shape (captions, LENGTH, WIDTH) and a mask of real words."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(WORDS), WIDTH)
        self.places = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(
            WIDTH,
            nhead=4,
            dim_feedforward=256,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, numbers: Any) -> tuple[Any, Any]:
        """States and mask (1 for a word)."""
        mask = numbers != 0
        states = self.words(numbers) + self.places
        states = self.layers(states, src_key_padding_mask=~mask)
        return self.norm(states), mask
