"""Stop strings, wherever their letters fall into tokens."""

from __future__ import annotations

from collections.abc import Iterable


def found(text: str, stops: Iterable[str]) -> int | None:
    """Where the first of them begins; what follows is not part of the answer."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return min(places, default=None)


def cut(text: str, stops: Iterable[str]) -> str:
    """The text before the first of them."""
    return text[: found(text, stops)]


def held(text: str, stops: Iterable[str]) -> int:
    """How many letters at the end may be the beginning of one: they are not handed out before more is known."""
    return max(
        (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0
    )
