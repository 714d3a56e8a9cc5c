"""Threads for blocking handlers: never more than a bound, none of them the loop's, none in the way of an exit."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import HandlerUnfit, Refusal
from ranvier.protocol.worker import Worker

T = TypeVar("T")
_log = logging.getLogger(__name__)
_END: Final[Any] = object()


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[T]):
    """What a step came to. It travels as a value: not every exception can be set on a future."""

    value: T | None = None
    error: BaseException | None = None

    def get(self) -> T:
        if self.error is None:
            return self.value  # type: ignore[return-value]  # a T where there is no error
        if isinstance(self.error, Exception):
            raise self.error
        # On the loop, SystemExit would end the process, and CancelledError pass for the caller's leave.
        raise HandlerUnfit(
            f"a blocking handler raised {type(self.error).__name__}: let it return, or raise an Exception"
        ) from self.error


class _Lease:
    """A worker in the hands of one call, with the context that the call was made in."""

    def __init__(self, worker: Worker) -> None:
        self.worker, self.wanted = worker, True
        self._context = copy_context()
        self._context.run(_current.set, self)

    def bound(self, step: Callable[[], T]) -> Callable[[], _Outcome[T]]:
        """The step as its thread runs it: it never raises."""
        return partial(self._context.run, self._take, step)

    def _take(self, step: Callable[[], T]) -> _Outcome[T]:
        try:
            return _Outcome(step())
        except BaseException as error:  # noqa: BLE001  a handler may raise anything, and its thread outlives it
            if not self.wanted:
                _log.debug("an abandoned handler failed", exc_info=error)
            return _Outcome(error=error)

    async def call(self, step: Callable[[], T]) -> T:
        """What it returns; raises what it raises."""
        outcome = await asyncio.get_running_loop().run_in_executor(self.worker, self.bound(step))
        return outcome.get()


_current: ContextVar[_Lease | None] = ContextVar("ranvier_blocking_call", default=None)


def wanted() -> bool:
    """Whether somebody still waits for the blocking handler that asks.

    Nothing can end a thread from outside: a handler that works long looks here between steps, and returns when its
    caller has left or its deadline has passed. True outside of such a handler.
    """
    lease = _current.get()
    return lease is None or lease.wanted


class Workers:
    """At most ``size`` daemon threads, begun when first needed. All methods belong on one loop.

    A call whose caller has gone keeps its thread until it returns: it is `abandoned`. Calls wait in order of arrival,
    and only as many as there are threads that are not abandoned; more are refused (``busy``).
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []
        self._waiting: deque[asyncio.Future[Worker]] = deque()
        self._abandoned = 0
        self._closed = False

    @property
    def threads(self) -> int:
        """Threads that are kept, busy or idle."""
        return len(self._workers)

    @property
    def running(self) -> int:
        """Calls that hold a thread, abandoned ones with them."""
        return len(self._workers) - len(self._idle)

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return len(self._waiting)

    @property
    def abandoned(self) -> int:
        """Calls that run for nobody."""
        return self._abandoned

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns in a thread, with the context variables of here; raises what it raises.

        Cancelled while it waits, ``work`` never begins; cancelled while it runs, it is abandoned.
        Raises `Refusal`: ``busy`` without a thread to be had, ``draining`` after `close`.
        """
        worker = await self._take()
        lease = _Lease(worker)
        try:
            return await lease.call(work)
        finally:
            self._give_back(lease)

    async def stream(self, work: Callable[[], Generator[T, None, object]]) -> AsyncGenerator[T, None]:
        """The items of a generator, all from one thread, each made when it is asked for.

        A reader that leaves has the generator closed, in that thread, as soon as its current step is over.
        Raises as `run` does.
        """
        worker = await self._take()
        lease = _Lease(worker)
        ending: Callable[[], object] | None = None
        try:
            items = await lease.call(work)
            ending = items.close
            while (item := await lease.call(partial(next, items, _END))) is not _END:
                yield item
        finally:
            self._give_back(lease, ending)

    def close(self) -> None:
        """Take no more calls and refuse those that wait. Waits for no thread: each ends with what it runs."""
        self._closed = True
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(_draining())
        self._waiting.clear()
        while self._idle:
            self._retire(self._idle.pop())

    async def _take(self) -> Worker:
        if self._closed:
            raise _draining()
        if self._idle:
            return self._idle.pop()
        if len(self._workers) < self._size:
            worker = Worker()
            self._workers.add(worker)
            return worker
        if len(self._waiting) >= self._size - self._abandoned:
            raise Refusal(Code.BUSY, "no thread is free", retry_after=5.0)
        turn: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                self._free(turn.result())
            raise

    def _give_back(self, lease: _Lease, ending: Callable[[], object] | None = None) -> None:
        """Free its worker, at once or when it is through with what it does and with ``ending``."""
        lease.wanted = False
        worker = lease.worker
        worker.skip()
        abandoned = not worker.free
        if ending is not None:
            worker.add(lease.bound(ending))
        if worker.free:
            self._free(worker)
            return
        self._abandoned += abandoned  # to run its ending alone is the usual way out of a stream
        if abandoned and self._abandoned == self._size:
            _log.warning("all %d threads run handlers that nobody waits for any more", self._size)
        worker.when_free(asyncio.get_running_loop(), partial(self._reclaim, worker, abandoned=abandoned))

    def _reclaim(self, worker: Worker, *, abandoned: bool) -> None:
        self._abandoned -= abandoned
        self._free(worker)

    def _free(self, worker: Worker) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(worker)
                return
        if self._closed:
            self._retire(worker)
        else:
            self._idle.append(worker)

    def _retire(self, worker: Worker) -> None:
        self._workers.discard(worker)
        worker.retire()


def _draining() -> Refusal:
    return Refusal(Code.DRAINING, "shutting down", retry_after=10.0)
