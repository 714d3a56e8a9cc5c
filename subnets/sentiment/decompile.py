"""Undoing a construction: the strongest attack on public frames, kept here so that it is measured and not
overlooked.
"""

from __future__ import annotations

import re
from functools import cache

from ranvier.subnets.sentiment.frames import Film, load_frames
from ranvier.subnets.sentiment.lookup import SentenceIndex


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """A regular expression that matches every filling of a frame's text."""
    pieces: list[str] = []
    seen: set[str] = set()
    for piece in re.split(r"(\{[ABst]\}|\[[^\[\]]*\|[^\[\]]*\])", text):
        if piece.startswith("["):
            pieces.append("(?:" + "|".join(map(re.escape, piece[1:-1].split("|"))) + ")")
        elif re.fullmatch(r"\{[ABst]\}", piece):
            name = piece[1]
            pieces.append(f"(?P={name})" if name in seen else f"(?P<{name}>.+?)")
            seen.add(name)
        else:
            pieces.append(re.escape(piece))
    return re.compile("".join(pieces), re.DOTALL)


def decompiled(text: str, target: str, index: SentenceIndex) -> int | None:
    """The polarity (-1, 0, 1) of a text to its target by frame and look-up, None where one is unknown."""
    for frame in sorted(load_frames(), key=lambda one: -len(one.text)):
        found = _pattern(frame.text).fullmatch(text)
        film = _asked(found.groupdict(), target) if found else None
        if found and film in frame.about:
            parts = found.groupdict()
            s = index.fuzzy(parts["s"])
            t = index.fuzzy(parts["t"]) if parts.get("t") else [1]
            if frame.about[film] == "none":
                return 0
            return frame.polarity(film, s[0], t[0]) if s and t else None
    return None


def _asked(parts: dict[str, str], target: str) -> Film | None:
    """Which of the frame's films the target is."""
    if parts.get("A") == target:
        return "A"
    return "B" if parts.get("B") == target else None
