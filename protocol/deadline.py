"""A deadline for whoever knows the loop: `asyncio.timeout_at` spends most of its time on looking it up."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self


class Deadline:
    """``with`` it inside a task: at ``when`` (loop time) the task is cancelled, and what leaves is a `TimeoutError`.

    The rules are those of `asyncio.Timeout`: a cancellation from outside stays one, also at the same moment.
    """

    __slots__ = ("_before", "_handle", "_loop", "_task", "expired", "when")

    def __init__(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        self._loop, self.when = loop, when
        self.expired = False
        """Whether it has passed while it was held."""

    def __enter__(self) -> Self:
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline is kept inside a task")
        self._task: asyncio.Task[Any] = task
        self._before = task.cancelling()
        self._handle = self._loop.call_at(self.when, self._expire)
        return self

    def lift(self) -> None:
        """Keep it no longer."""
        self._handle.cancel()

    def _expire(self) -> None:
        self.expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        if self.expired and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error
