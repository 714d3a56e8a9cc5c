"""A history in pieces: bounded replies, and who wants all of it asks on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")
MOST_POINTS: Final = 500
"""Most points of an account or a subnet in one reply."""
MOST_EPOCHS: Final = 64
"""Most epochs in one reply; each has a row for every neuron."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Oldest first; `next` is the block to ask on from (as `since`), None where there is no more."""

    items: tuple[T, ...]
    next: int | None


async def every(ask: Callable[[int], Awaitable[Page[T]]], since: int) -> tuple[T, ...]:
    """The items of all pages from a block on."""
    found: list[T] = []
    at: int | None = since
    while at is not None:
        page = await ask(at)
        found += page.items
        at = page.next
    return tuple(found)
