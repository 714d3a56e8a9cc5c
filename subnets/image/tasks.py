"""Prompts, composed from a secret seed over the scenes that the shipped model was trained to draw."""

from __future__ import annotations

import random

from ranvier.engines.training.scenes import COLOURS, GROUNDS, OPPOSITE, PLACES, SHAPES, SIZES, Scene, Thing


def compose(rng: random.Random) -> str:
    """One of some fifty million captions: two objects, a ground, and by chance sizes and places."""
    first, second, ground = rng.sample(list(COLOURS), 3)
    where = rng.choice([*PLACES, None])

    def thing(colour: str, place: str | None) -> Thing:
        return Thing(rng.choice(SHAPES), colour, rng.choice([*SIZES, None]), place)

    one = thing(first, where)
    other = thing(second, OPPOSITE[where] if where else None)
    return Scene(one, other, rng.choice(GROUNDS), ground).caption()
