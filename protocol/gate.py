"""The gate behind the door: how many run, who waits, who goes first, who is sent away."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from ranvier.protocol.caller import Caller
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.limits import Limits

_HALF_WAY: Final = 10**12
"""Rao."""
_FEW: Final = 4096
"""Buckets that are never worth a scan."""
_LATELY: Final = 10.0
"""Seconds."""


@dataclass(slots=True, eq=False)
class _Waiter:
    caller: Caller
    arrival: int
    turn: asyncio.Future[None]


class Gate:
    """Runs at most ``max_concurrent`` at a time, callers in turn; a full queue sheds whoever would come last.

    Time is counted in rounds (start-time fair queueing): each turn that a caller gets puts the next one off by a round,
    by as little as half of one where there is much stake. Who is due first goes first, among those who have more stake,
    then who came first. So a caller without a turn in this round waits for one turn of each other caller at most,
    however many requests those have. One caller holds three quarters of all turns at most (all, of fewer than four),
    and as many fewer as others had one lately, down to half: those find a free one at once when they come again.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._running = 0
        self._waiting: list[_Waiter] = []
        self._of_caller: Counter[str] = Counter()
        """Requests that run or wait."""
        self._held: Counter[str] = Counter()
        """Requests that run."""
        self._lately: dict[str, float] = {}
        """When a caller last had a turn, by the loop's clock, the longest ago first; nobody from before `_LATELY`."""
        self._round = 0.0
        self._due: dict[str, float] = {}
        """When each caller who had a turn in this round is due again; nobody else is kept."""
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

    def share(self, hotkey: str) -> int:
        """Turns that this caller may hold now; it keeps those that it has."""
        before = asyncio.get_running_loop().time() - _LATELY
        while self._lately:
            longest, when = next(iter(self._lately.items()))
            if when >= before and len(self._lately) <= _FEW:
                break
            del self._lately[longest]
        others, most = len(self._lately) - (hotkey in self._lately), self._limits.max_concurrent
        return most - max(most // 4, min(most // 2, others))

    def _may(self, hotkey: str) -> bool:
        return self._held[hotkey] < self.share(hotkey)

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
            self._due.clear()
            self._idle.set()

    async def _enter(self, caller: Caller) -> None:
        # Whoever waits while there is a free turn holds all that one caller may.
        if self._running < self._limits.max_concurrent and self._may(caller.hotkey):
            self._start(caller)
            return
        waiter = _Waiter(caller, next(self._arrivals), asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        if len(self._waiting) > self._limits.max_queue:
            self._shed()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self._leave(caller.hotkey)
            raise

    def _start(self, caller: Caller) -> None:
        self._running += 1
        self._held[caller.hotkey] += 1
        self._lately.pop(caller.hotkey, None)
        self._lately[caller.hotkey] = asyncio.get_running_loop().time()
        due = self._due_of(caller)
        if due > self._round:
            self._go_on(due)
        self._due[caller.hotkey] = due + 1 / _weight(caller.stake)
        if len(self._due) > _FEW:  # keys may be free: a round that nobody ends by a second turn ends here
            self._go_on(self._round + 1)

    def _go_on(self, to: float) -> None:
        self._round = to
        self._due = {hotkey: due for hotkey, due in self._due.items() if due > to}

    def _due_of(self, caller: Caller) -> float:
        return self._due.get(caller.hotkey, self._round)

    def _rank(self, waiter: _Waiter) -> tuple[float, int, int]:
        """The smallest goes first."""
        return self._due_of(waiter.caller), -waiter.caller.stake, waiter.arrival

    def _shed(self) -> None:
        """Turn away whoever would come last: of callers with many requests, the last of those."""
        ahead: Counter[str] = Counter()
        for waiter in self._waiting:
            ahead[waiter.caller.hotkey] += 1
        last = max(
            self._waiting,
            key=lambda each: (
                self._due_of(each.caller) + ahead[each.caller.hotkey] / _weight(each.caller.stake),
                *self._rank(each)[1:],
            ),
        )
        self._waiting.remove(last)
        if not last.turn.done():  # its deadline may have passed in this very turn of the loop
            last.turn.set_exception(Refusal(Code.BUSY, "the queue is full", retry_after=2.0))

    def _leave(self, hotkey: str) -> None:
        self._running -= 1
        self._held[hotkey] -= 1
        if not self._held[hotkey]:
            del self._held[hotkey]
        while self._waiting and self._running < self._limits.max_concurrent:
            allowed = [each for each in self._waiting if self._may(each.caller.hotkey)]
            if not allowed:
                return
            waiter = min(allowed, key=self._rank)
            self._waiting.remove(waiter)
            if not waiter.turn.done():
                self._start(waiter.caller)
                waiter.turn.set_result(None)


def _weight(stake: int) -> float:
    """How many turns a caller gets beside one without stake: from 1 to 2, half of the way at a thousand TAO."""
    return 1 + stake / (stake + _HALF_WAY)


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
        self._gate._leave(self._caller.hotkey)  # noqa: SLF001
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
            raise _too_many(level, self._rate)
        self._buckets[hotkey] = (level - 1, now)
        if len(self._buckets) > self._forget_beyond:
            self._forget(now)

    def look(self, hotkey: str, now: float) -> None:
        """Raise `Refusal` as `take` would, and change nothing: the hotkey need not be proven."""
        level, then = self._buckets.get(hotkey, (self._burst, now))
        level += (now - then) * self._rate
        if level < 1:
            raise _too_many(level, self._rate)

    def _forget(self, now: float) -> None:
        full_after = self._burst / self._rate
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if now - bucket[1] < full_after}
        # Twice what is left: the scan costs each new caller a constant, however many there are.
        self._forget_beyond = max(_FEW, 2 * len(self._buckets))


def _too_many(level: float, rate: float) -> Refusal:
    return Refusal(Code.RATE_LIMITED, "too many requests", retry_after=(1 - level) / rate)
