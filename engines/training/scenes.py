"""Scenes that are composed from a grammar, out of three sets: shapes that we draw, and things drawn by two artists.

A caption names one or two objects (size, colour and shape, or a thing; place) and a ground. What it leaves open (exact
position and scale, rotation, shade, which artist, the ground's texture, and any word that was dropped)
is drawn at random, so that one caption has very many pictures and a model that only memorises them fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ranvier.engines.training.objects import OBJECTS

SIZE: Final = 32
Random = np.random.Generator

COLOURS: Final = {
    "red": (214, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 215, 60),
    "green": (50, 160, 70),
    "teal": (30, 170, 170),
    "blue": (45, 90, 210),
    "purple": (130, 60, 180),
    "pink": (240, 130, 180),
    "brown": (130, 85, 50),
    "black": (25, 25, 30),
    "white": (245, 245, 245),
    "grey": (135, 135, 140),
}
SHAPES: Final = ("circle", "square", "triangle", "star", "ring", "cross", "diamond", "crescent")
SIZES: Final = {"small": 4.8, "medium": 6.6, "large": 8.8}
"""Radius in pixels."""
PLACES: Final = {
    "top left": (9, 9),
    "top right": (23, 9),
    "bottom left": (9, 23),
    "bottom right": (23, 23),
    "left": (9, 16),
    "right": (23, 16),
    "top": (16, 9),
    "bottom": (16, 23),
}
GROUNDS: Final = ("plain", "striped", "spotted", "shaded")
OPPOSITE: Final = {
    "top left": "bottom right",
    "top right": "bottom left",
    "bottom left": "top right",
    "bottom right": "top left",
    "left": "right",
    "right": "left",
    "top": "bottom",
    "bottom": "top",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One object; None is left to chance and out of the caption. Things have no colour but their own."""

    shape: str
    colour: str | None
    size: str | None
    place: str | None

    def words(self) -> str:
        """As the caption says it."""
        size = f"{self.size} " if self.size else ""
        place = f" at the {self.place}" if self.place else ""
        colour = f"{self.colour} " if self.colour else ""
        said = f"{size}{colour}{self.shape}{place}"
        return f"{'an' if said[0] in 'aeiou' else 'a'} {said}"


@dataclass(frozen=True, slots=True)
class Scene:
    """What a caption says."""

    first: Thing
    second: Thing | None
    ground: str
    colour: str

    def caption(self) -> str:
        """The caption."""
        things = self.first.words() + (f" and {self.second.words()}" if self.second else "")
        return f"{things} on a {self.ground} {self.colour} ground"


def captions() -> int:
    """How many different captions with two objects there are."""
    shapes, things, colours = len(SHAPES), len(OBJECTS), len(COLOURS)
    both_drawn = shapes**2 * colours * (colours - 1) * (colours - 2)
    one_drawn = 2 * shapes * things * colours * (colours - 1)
    pairs = both_drawn + one_drawn + things**2 * colours
    return pairs * (len(SIZES) + 1) ** 2 * (len(PLACES) + 1) * len(GROUNDS)


def draw_scene(
    rng: Random, *, pair: float = 0.5, place: float = 0.6, size: float = 0.6, thing_share: float = 0.5
) -> Scene:
    """A random scene.

    The arguments are the chances that a second object, places and sizes are named, and that an object is a thing.
    """
    colours = [str(one) for one in rng.permutation(list(COLOURS))]
    where = str(rng.choice(list(PLACES))) if rng.random() < place else None

    def thing(colour: str, at: str | None) -> Thing:
        large = str(rng.choice(list(SIZES))) if rng.random() < size else None
        if rng.random() < thing_share:
            return Thing(str(rng.choice(list(OBJECTS))), None, large, at)
        return Thing(str(rng.choice(SHAPES)), colour, large, at)

    second = thing(colours[1], OPPOSITE[where] if where else None) if rng.random() < pair else None
    return Scene(thing(colours[0], where), second, str(rng.choice(GROUNDS)), colours[2])
