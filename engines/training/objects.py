"""Things that scenes may hold: common words, each with a picture in both artists' sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OBJECTS: Final[Mapping[str, str]] = {
    "apple": "1f34e",
    "banana": "1f34c",
    "grapes": "1f347",
    "strawberry": "1f353",
    "lemon": "1f34b",
    "carrot": "1f955",
    "pizza": "1f355",
    "cake": "1f370",
    "mushroom": "1f344",
    "dog": "1f436",
    "cat": "1f431",
    "pig": "1f437",
    "frog": "1f438",
    "bear": "1f43b",
    "panda": "1f43c",
    "rabbit": "1f430",
    "fish": "1f41f",
    "turtle": "1f422",
    "octopus": "1f419",
    "butterfly": "1f98b",
    "car": "1f697",
    "bus": "1f68c",
    "rocket": "1f680",
    "house": "1f3e0",
    "tree": "1f333",
    "flower": "1f33c",
    "bell": "1f514",
    "balloon": "1f388",
}
"""Word of a caption and code point of the picture."""
