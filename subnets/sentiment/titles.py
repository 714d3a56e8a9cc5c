"""Film titles that carry no sentiment, put together so that none need be known to anyone."""

from __future__ import annotations

import random

from ranvier.subnets.sentiment.words import load_words


def draw_title(rng: random.Random) -> str:
    """One title out of about nine hundred."""
    words, form = load_words().titles, rng.randrange(4)
    if form == 0:
        return f"The {rng.choice(words.adjectives)} {rng.choice(words.nouns)}"
    if form == 1:
        return f"{rng.choice(words.names)} and the {rng.choice(words.nouns)}"
    if form == 2:
        return f"{rng.choice(words.adjectives)} {rng.choice(words.nouns)}"
    return f"One {rng.choice(words.nouns)} for {rng.choice(words.names)}"


def draw_titles(rng: random.Random) -> tuple[str, str]:
    """Two different titles, neither part of the other."""
    first = draw_title(rng)
    while True:
        second = draw_title(rng)
        if second not in first and first not in second:
            return first, second
