"""Worker threads for blocking handlers: never the loop's own, never more than a bound, never in the way of an exit."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, Generic, TypeVar

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import HandlerUnfit, Refusal
from ranvier.protocol.pipe import Pipe

T = TypeVar("T")
_log = logging.getLogger(__name__)


class _Call(Generic[T]):
    """One blocking call, as the loop and its worker see it. The pool's lock guards ``wanted`` and ``ended``."""

    def __init__(self, work: Callable[[], T], tell: Callable[[], None]) -> None:
        self._work, self._tell = work, tell
        self._loop, self._context = asyncio.get_running_loop(), copy_context()
        self._value: T | None = None
        self._error: BaseException | None = None
        self.wanted = True
        """Somebody on the loop waits for it."""
        self.ended = False

    def run(self) -> None:
        """In the worker: keep what came of it. The context is the caller's, as with `asyncio.to_thread`."""
        try:
            self._value = self._context.run(self._marked)
        except BaseException as error:  # noqa: BLE001  a handler may raise anything, and its worker must outlive it
            self._error = error

    def _marked(self) -> T:
        _current.set(self)
        return self._work()

    def deliver(self) -> None:
        """In the worker: tell the loop that it has ended, unless nobody is there any more."""
        if not self.wanted:
            _log.debug("an abandoned call has ended", exc_info=self._error)
            return
        try:
            self._loop.call_soon_threadsafe(self._tell)
        except RuntimeError:  # the loop was closed: whoever waited went with it
            _log.debug("a call has ended after its loop", exc_info=self._error)

    def refuse(self, refusal: Refusal) -> None:
        """It never begins."""
        self._error = refusal
        self.ended = True
        self.deliver()

    def result(self) -> T:
        """On the loop: its value; raises what it raised."""
        error, self._error = self._error, None
        if error is None:
            return self._value  # type: ignore[return-value]  # it is a T where there is no error
        try:
            if isinstance(error, Exception):
                raise error
            # On the loop, SystemExit would end the process and CancelledError would pass for a caller's leave.
            raise HandlerUnfit(
                f"a blocking handler raised {type(error).__name__}: let it return or raise an Exception instead"
            ) from error
        finally:
            del error  # its traceback holds this frame


_current: ContextVar[_Call[Any] | None] = ContextVar("ranvier_blocking_call", default=None)


def wanted() -> bool:
    """Whether somebody still waits for the blocking handler that asks.

    Nothing can end a thread from outside: a handler that works long looks here between steps, and returns when its
    caller has left or its deadline has passed. True outside of a worker.
    """
    call = _current.get()
    return call is None or call.wanted


class Workers:
    """At most ``size`` daemon threads, started when first needed.

    A call whose caller has gone keeps its thread until it returns: it is `abandoned`. Calls wait in order of arrival,
    and only as many as there are threads that are not abandoned; more are refused (``busy``).
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._changed = threading.Condition()
        self._queue: deque[_Call[Any]] = deque()
        self._threads = self._idle = self._abandoned = 0
        self._closed = False

    @property
    def threads(self) -> int:
        """Threads that live now."""
        return self._threads

    @property
    def running(self) -> int:
        """Calls that run now, abandoned ones with them."""
        return self._threads - self._idle

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return len(self._queue)

    @property
    def abandoned(self) -> int:
        """Calls that run for nobody."""
        return self._abandoned

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns in a thread; raises what it raises.

        Cancelled while it waits, ``work`` never begins; cancelled while it runs, it is abandoned.
        Raises `Refusal`: ``busy`` without a thread to be had, ``draining`` after `close`.
        """
        ended = asyncio.get_running_loop().create_future()
        call = _Call(work, lambda: None if ended.done() else ended.set_result(None))
        self._submit(call)
        try:
            await ended
        finally:
            self._leave(call)
        return call.result()

    async def stream(self, work: Callable[[], Generator[T, None, object]]) -> AsyncGenerator[T, None]:
        """The items that ``work`` yields, all from one thread; closed in that thread when the reader leaves.

        Raises as `run` does.
        """
        pipe: Pipe[T] = Pipe(asyncio.get_running_loop())
        call = _Call(partial(pipe.fill, work), pipe.end)
        self._submit(call)
        try:
            async for item in pipe:
                yield item
        finally:
            pipe.leave()
            self._leave(call)
        call.result()

    def close(self) -> None:
        """Take no more calls and refuse those that wait; each thread ends with what it runs. Waits for none."""
        with self._changed:
            self._closed = True
            refused = list(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        for call in refused:
            call.refuse(Refusal(Code.DRAINING, "shutting down", retry_after=10.0))

    def _submit(self, call: _Call[Any]) -> None:
        with self._changed:
            if self._closed:
                raise Refusal(Code.DRAINING, "shutting down", retry_after=10.0)
            if len(self._queue) - (self._size - self.running) >= self._size - self._abandoned:
                raise Refusal(Code.BUSY, "every thread is taken", retry_after=5.0)
            self._queue.append(call)
            if len(self._queue) > self._idle and self._threads < self._size:
                self._threads += 1
                self._idle += 1
                threading.Thread(target=self._serve, name="ranvier-handler", daemon=True).start()
            self._changed.notify()

    def _leave(self, call: _Call[Any]) -> None:
        """Its caller is done with it, or gone."""
        with self._changed:
            if call in self._queue:
                self._queue.remove(call)
            elif not call.ended:
                call.wanted = False
                self._abandoned += 1
                if self._abandoned == self._size:
                    _log.warning("all %d threads run handlers that nobody waits for any more", self._size)

    def _serve(self) -> None:
        """A thread's life."""
        while (call := self._next()) is not None:
            call.run()
            with self._changed:
                call.ended = True
                self._idle += 1
                self._abandoned -= not call.wanted
            call.deliver()

    def _next(self) -> _Call[Any] | None:
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            self._idle -= 1
            if self._queue:
                return self._queue.popleft()
            self._threads -= 1
            return None
