"""One thread that takes steps one after another, and holds up no exit."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Worker(Executor):
    """An executor of one daemon thread, begun with its first step.

    The standard library's executors are joined at exit, so one stuck call would keep a process for ever. A loop that
    runs executors' calls itself, as one in simulated time does, never begins the thread.
    """

    def __init__(self) -> None:
        self._steps: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._begun = False
        self._last: Future[Any] | None = None

    @property
    def free(self) -> bool:
        """All its steps are over."""
        return self._last is None or self._last.done()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a step. Raises RuntimeError when the system has no thread left."""
        if not self._begun:
            threading.Thread(target=_serve, args=(self._steps,), name="ranvier-handler", daemon=True).start()
            self._begun = True
        step: Future[T] = Future()
        self._last = step
        self._steps.put((step, partial(fn, *args, **kwargs)))
        return step

    def skip(self) -> None:
        """Drop a step that has not begun, forget one that is over."""
        if self._last is not None and (self._last.cancel() or self._last.done()):
            self._last = None

    def add(self, step: Callable[[], object]) -> None:
        """Run a step, which must not raise, after the one that runs; at once if the loop runs them itself."""
        if self._begun:
            self.submit(step)
        else:
            step()

    def when_free(self, loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> None:
        """Call ``tell`` on ``loop`` once all steps are over; if the loop is closed by then, the thread ends."""

        def over(_: Future[Any]) -> None:
            try:
                loop.call_soon_threadsafe(tell)
            except RuntimeError:
                _log.debug("an abandoned call outlived its loop")
                self.retire()

        if self._last is not None:
            self._last.add_done_callback(over)

    def retire(self) -> None:
        """No step follows: the thread ends after those it has."""
        self._steps.put(None)


def _serve(steps: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]) -> None:
    while (taken := steps.get()) is not None:
        step, run = taken
        if step.set_running_or_notify_cancel():
            try:
                step.set_result(run())
            except BaseException as error:  # noqa: BLE001  as any executor: it belongs to whoever waits
                step.set_exception(error)
        del taken, step, run  # an idle thread holds nothing of the last call
