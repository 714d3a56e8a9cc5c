"""The caption encoder of the scenes model: a closed vocabulary, two transformer layers, and a draft of the picture.

The draft is the mean of all pictures that a caption may have, as far as the encoder knows it. The denoiser sees it
beside the noisy picture: where things lie and what shape they have is learnt sooner by drafting than from noise alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

from ranvier.engines.image.draft import Drafter

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
    # New words go to the end: a trained row keeps its number.
    *("an", "apple", "banana", "grapes", "strawberry", "lemon", "carrot", "pizza", "cake", "mushroom"),
    *("dog", "cat", "pig", "frog", "bear", "panda", "rabbit", "fish", "turtle", "octopus", "butterfly"),
    *("car", "bus", "rocket", "house", "tree", "flower", "bell", "balloon"),
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
        numbers = [_INDEX.get("a" if word == "an" else word, _INDEX["<unknown>"]) for word in words]
        rows.append(numbers + [0] * (LENGTH - len(numbers)))
    return torch.tensor(rows)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of n captions: states (n, LENGTH, WIDTH), a mask of real words, drafts (n, 3, 32, 32), and where
    the objects of the drafts lie.
    """

    states: Any
    mask: Any
    drafts: Any
    where: Any


class CaptionEncoder(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers has no types
    """Word numbers to a `Reading`."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(WORDS), WIDTH)
        self.places = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.02)
        shape = {
            "nhead": 4,
            "dim_feedforward": 2 * WIDTH,
            "dropout": 0.0,
            "activation": "gelu",
            "batch_first": True,
            "norm_first": True,
        }
        layer = nn.TransformerEncoderLayer(WIDTH, **shape)
        self.layers = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)
        self.drafter = Drafter(WIDTH)

    def forward(self, numbers: Any) -> Reading:
        """Read; the mask is 1 for a word."""
        mask = numbers != 0
        states = self.words(numbers) + self.places
        states = self.norm(self.layers(states, src_key_padding_mask=~mask))
        drafts, where = self.drafter(states, mask)
        return Reading(states, mask, drafts, where)
