"""A history in pieces: bounded replies, and who wants all of it asks on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ranvier.chain.errors import BadReply

T = TypeVar("T")
MOST_POINTS: Final = 500
"""Most points of an account or a subnet in one reply."""
MOST_EPOCHS: Final = 64
"""Most epochs in one reply."""
MOST_ROWS: Final = 32_768
"""Most rows of all its epochs together, a row for every neuron; one epoch is always there whole."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Oldest first; `next` is the block to ask on from (as `since`), None where there is no more."""

    items: tuple[T, ...]
    next: int | None


async def every(ask: Callable[[int], Awaitable[Page[T]]], since: int) -> tuple[T, ...]:
    """The items of all pages from a block on. Raises `BadReply` for pages that lead nowhere."""
    found: list[T] = []
    while True:
        page = await ask(since)
        found += page.items
        if page.next is None:
            return tuple(found)
        if page.next <= since:
            raise BadReply(
                f"after block {since} the chain goes on from block {page.next}; use equal versions"
            )
        since = page.next
