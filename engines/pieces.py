"""What is handed out while it is made: a generation, a picture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Self


class Pieces:
    """Runs ``work`` and gives what it hands out; entered when there is a first piece, or an end.

    Entering raises what ``work`` raised before its first piece, so that a refusal can still be told as one.
    """

    def __init__(self, work: Callable[[Callable[[str], None]], Awaitable[Any]]) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._work = work
        self._task: asyncio.Future[Any] | None = None
        self._first: str | None = None

    async def __aenter__(self) -> Self:
        self.begin()
        try:
            await self.first()
        except BaseException:
            await self.leave()
            raise
        return self

    def begin(self) -> None:
        """Start the work; where several run at once, each is then entered by `first`, and left by `leave`."""
        self._task = asyncio.ensure_future(self._work(self._queue.put_nowait))
        self._task.add_done_callback(lambda _: self._queue.put_nowait(None))

    async def first(self) -> None:
        """Wait for the first piece. Raises what came in its place."""
        self._first = await self._queue.get()
        if self._first is None:
            await self.end()

    async def leave(self) -> None:
        """End the work where it is, and wait until it has let go of the engine."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            if not self._task.cancelled():
                self._task.exception()  # it was raised to whoever asked for the end; else nobody wants it

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def __aiter__(self) -> AsyncIterator[str]:
        piece = self._first
        while piece is not None:
            yield piece
            piece = await self._queue.get()

    async def end(self) -> Any:
        """The whole of it, after the last piece; raises what ``work`` raised."""
        if self._task is None:
            raise RuntimeError("enter it first")
        return await self._task
