"""Frames: the writer's stance around real sentences, from which a text's label follows by construction.

The public frames are in ``frames.toml`` beside this file. An operator keeps frames of its own in a file of
the same form: what is public can be taken apart by a program, what is private cannot (reference: cheats,
"keep families hidden").
"""

from __future__ import annotations

import random
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ranvier.subnets.sentiment.errors import FramesUnreadable

Stance = Literal["s", "t", "-s", "-t", "none"]
Film = Literal["A", "B"]

PUBLIC = Path(__file__).with_name("frames.toml")
_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")


class Frame(BaseModel):
    """One pattern of text; see the head of ``frames.toml`` for the notation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    about: dict[Film, Stance]
    same: bool = False

    @property
    def quotes_two(self) -> bool:
        """Whether the frame holds two real sentences."""
        return "{t}" in self.text

    def polarity(self, film: Film, s: int, t: int) -> int:
        """-1, 0 or 1: what the writer thinks of ``film`` when {s} and {t} have polarities ``s`` and ``t``."""
        return {"s": s, "t": t, "-s": -s, "-t": -t, "none": 0}[self.about[film]]

    def fits(self, s: int, t: int) -> bool:
        """Whether sentences of these polarities may be put in."""
        return not self.same or s == t

    def fill(self, rng: random.Random, films: dict[Film, str], s: str, t: str) -> str:
        """Draw the wordings and put titles and sentences in. Only the frame's own text is read as a
        pattern.
        """
        worded = _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), self.text)
        parts = {"{A}": films["A"], "{B}": films["B"], "{s}": s, "{t}": t}
        return re.sub(r"\{[ABst]\}", lambda found: parts[found[0]], worded)


class _File(BaseModel):
    """The whole of a frames file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: tuple[Frame, ...]


@cache
def load_frames(path: Path = PUBLIC) -> tuple[Frame, ...]:
    """Read a frames file. Raises `FramesUnreadable` naming the file and what is wrong with it."""
    try:
        frames = _File.model_validate(tomllib.loads(path.read_text("utf-8"))).frame
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise FramesUnreadable(path, str(error)) from error
    if not frames:
        raise FramesUnreadable(path, "it has no [[frame]]")
    return frames
