"""Prompts, composed from a secret seed over the scenes that the shipped model was trained to draw."""

from __future__ import annotations

import random

from ranvier.engines.training.objects import OBJECTS
from ranvier.engines.training.scenes import COLOURS, GROUNDS, OPPOSITE, PLACES, SHAPES, SIZES, Scene, Thing


def compose(rng: random.Random) -> str:
    """One of some eighty million captions: two objects (shapes or things), a ground, by chance sizes and places."""
    first, second, ground = rng.sample(list(COLOURS), 3)
    where = rng.choice([*PLACES, None])

    def thing(colour: str, place: str | None) -> Thing:
        size = rng.choice([*SIZES, None])
        if rng.random() < 0.5:
            return Thing(rng.choice(list(OBJECTS)), None, size, place)
        return Thing(rng.choice(SHAPES), colour, size, place)

    one = thing(first, where)
    other = thing(second, OPPOSITE[where] if where else None)
    return Scene(one, other, rng.choice(GROUNDS), ground).caption()
