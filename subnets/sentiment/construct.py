"""Texts that did not exist before, with labels that follow from how they were made.

The number of sentences and a label are drawn first, then source polarities independently, then a frame that
leads from these to the label. So the polarity of the public sentences in a text says nothing about its label:
whoever finds the sources in the public data and no more has found a coin. What the frame alone gives away is
set aside by the score (see `scoring`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ranvier.subnets.sentiment.corpus import Corpus
from ranvier.subnets.sentiment.edits import reworded
from ranvier.subnets.sentiment.errors import FramesTooFew
from ranvier.subnets.sentiment.frames import Film, Frame
from ranvier.subnets.sentiment.titles import draw_titles

POLARITIES = (-1, -1, 0, 1, 1)
"""What labels are drawn from: a fifth neutral, because a neutral text can be told by its frame alone and
pays nothing.
"""


@dataclass(frozen=True, slots=True)
class Made:
    """One constructed text: ``label`` is an index into `LABELS` (0 negative, 1 neutral, 2 positive)."""

    text: str
    target: str
    label: int
    sources: tuple[str, ...]


def make(rng: random.Random, corpus: Corpus, frames: Sequence[Frame]) -> Made:
    """Make one text. All chance comes from ``rng``; the same generator gives the same text."""
    two, polarity = rng.random() < 0.5, rng.choice(POLARITIES)
    s, t = rng.choice((-1, 1)), rng.choice((-1, 1))
    frame, film = rng.choice(_leading_to(frames, two, polarity, s, t))
    films = dict(zip(("A", "B"), draw_titles(rng), strict=True))
    first = corpus.draw(rng, s)
    second = corpus.draw(rng, t, other_than=first)
    text = frame.fill(rng, {"A": films["A"], "B": films["B"]}, reworded(rng, first), reworded(rng, second))
    sources = (first, second) if frame.quotes_two else (first,)
    return Made(text=text, target=films[film], label=polarity + 1, sources=sources)


def _leading_to(
    frames: Sequence[Frame], two: bool, polarity: int, s: int, t: int
) -> list[tuple[Frame, Film]]:
    """Every (frame, film asked about) under which sentences of polarity ``s`` and ``t`` give ``polarity``.

    Raises `FramesTooFew`: redrawing instead would let the sources tell the label.
    """
    found = [
        (frame, film)
        for frame in frames
        if frame.quotes_two == two and frame.fits(s, t)
        for film in frame.about
        if frame.polarity(film, s, t) == polarity
    ]
    if not found:
        raise FramesTooFew(two, polarity, s, t)
    return found
