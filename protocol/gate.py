"""The gate behind the door: how many run, who waits, who goes first, who is sent away."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from ranvier.protocol.caller import Caller
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.limits import Limits

_FEW: Final = 4096
"""Buckets that are never worth a scan."""


@dataclass(order=True, slots=True)
class _Waiter:
    rank: tuple[int, int]
    """Minus stake, then order of arrival: the smallest goes first."""
    turn: asyncio.Future[None] = field(compare=False)


class Gate:
    """Runs at most ``max_concurrent`` at a time, more stake first; a full queue sheds whoever has the least stake."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._running = 0
        self._waiting: list[_Waiter] = []
        self._of_caller: Counter[str] = Counter()
        self._arrivals = itertools.count()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """Handlers that run now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Admitted requests that wait."""
        return len(self._waiting)

    async def idle(self) -> None:
        """Return when nothing runs or waits."""
        await self._idle.wait()

    def turn(self, caller: Caller) -> _Turn:
        """``async with`` it: waits for a turn and holds it; raises `Refusal` (``busy``) when shed."""
        return _Turn(self, caller)

    def _arrive(self, hotkey: str) -> None:
        if self._of_caller[hotkey] >= self._limits.max_per_caller:
            raise Refusal(Code.BUSY, "too many requests of this caller at once", retry_after=1.0)
        self._of_caller[hotkey] += 1
        self._idle.clear()

    def _depart(self, hotkey: str) -> None:
        self._of_caller[hotkey] -= 1
        if not self._of_caller[hotkey]:
            del self._of_caller[hotkey]
        if not self._of_caller:
            self._idle.set()

    async def _enter(self, caller: Caller) -> None:
        if self._running < self._limits.max_concurrent and not self._waiting:
            self._running += 1
            return
        waiter = _Waiter((-caller.stake, next(self._arrivals)), asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiter)
        if len(self._waiting) > self._limits.max_queue:
            self._shed()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                heapq.heapify(self._waiting)
            elif not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self._leave()
            raise

    def _shed(self) -> None:
        last = max(self._waiting)
        self._waiting.remove(last)
        heapq.heapify(self._waiting)
        if not last.turn.done():  # its deadline may have passed in this very turn of the loop
            last.turn.set_exception(Refusal(Code.BUSY, "the queue is full", retry_after=2.0))

    def _leave(self) -> None:
        self._running -= 1
        while self._waiting and self._running < self._limits.max_concurrent:
            waiter = heapq.heappop(self._waiting)
            if not waiter.turn.done():
                self._running += 1
                waiter.turn.set_result(None)


class _Turn:
    """A caller's turn: waited for when entered, given up when left."""

    __slots__ = ("_caller", "_gate")

    def __init__(self, gate: Gate, caller: Caller) -> None:
        self._gate, self._caller = gate, caller

    async def __aenter__(self) -> None:
        self._gate._arrive(self._caller.hotkey)  # noqa: SLF001 - one thing in two classes
        try:
            await self._gate._enter(self._caller)  # noqa: SLF001
        except BaseException:
            self._gate._depart(self._caller.hotkey)  # noqa: SLF001
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate._leave()  # noqa: SLF001
        self._gate._depart(self._caller.hotkey)  # noqa: SLF001


class RateLimit:
    """A token bucket for each authenticated caller; forgets callers whose bucket is full again."""

    def __init__(self, limits: Limits) -> None:
        self._rate, self._burst = limits.rate, float(limits.burst)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._forget_beyond = _FEW

    def take(self, hotkey: str, now: float) -> None:
        """Use one token; raises `Refusal` (``rate-limited``) when there is none. ``now`` is monotonic seconds."""
        level, then = self._buckets.get(hotkey, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        if level < 1:
            raise Refusal(Code.RATE_LIMITED, "too many requests", retry_after=(1 - level) / self._rate)
        self._buckets[hotkey] = (level - 1, now)
        if len(self._buckets) > self._forget_beyond:
            self._forget(now)

    def _forget(self, now: float) -> None:
        full_after = self._burst / self._rate
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if now - bucket[1] < full_after}
        # Twice what is left: the scan costs each new caller a constant, however many there are.
        self._forget_beyond = max(_FEW, 2 * len(self._buckets))
