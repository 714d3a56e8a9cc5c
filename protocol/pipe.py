"""Items from a generator in a worker's thread to a reader on the loop, in order, only a few ahead of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Final, Generic, TypeVar

T = TypeVar("T")

AHEAD: Final = 16
"""Items that the generator may be ahead of its reader; then it waits."""
_END: Final = object()


class Pipe(Generic[T]):
    """`fill` runs in the worker; everything else on ``loop``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: asyncio.Queue[object] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)
        self._left = False

    def fill(self, work: Callable[[], Generator[T, None, object]]) -> None:
        """Run the generator to its end, or close it once the reader has left; raises what it raises.

        Raises RuntimeError when the loop was closed.
        """
        with closing(work()) as items:
            for item in items:
                self._room.acquire()
                if self._left:
                    return
                self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    def end(self) -> None:
        """Nothing follows."""
        self._items.put_nowait(_END)

    def leave(self) -> None:
        """The reader wants no more: a generator that waits for room goes on, to be closed."""
        self._left = True
        self._room.release()

    def __aiter__(self) -> Pipe[T]:
        return self

    async def __anext__(self) -> T:
        item = await self._items.get()
        if item is _END:
            raise StopAsyncIteration
        self._room.release()
        return item  # type: ignore[return-value]  # only `_END` is no item
