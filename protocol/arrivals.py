"""Large bodies that are on their way to an axon, from senders who have proven nothing: bounded together."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

FREE: Final = 1 << 16
"""Bytes of each body that are not counted: what a connection holds in its buffers anyway."""
_HALF: Final = 0.1
"""Seconds after which bytes that came count half, when it is asked who sends slowest."""


class Arrivals:
    """At most ``size`` bytes of large bodies at once; where more come, whoever sends slowest just now gives way.

    So nobody waits, and what strangers sent once and left lying keeps out nobody who sends. ``clock`` is monotonic
    seconds.
    """

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self._size, self._clock = size, clock
        self._bodies: set[Arrival] = set()
        self.held = 0
        """Bytes."""

    def begin(self, leave: Callable[[], None]) -> Arrival:
        """``with`` it while a body is received; ``leave`` is called once, where it has to give way."""
        return Arrival(self, leave)

    def came(self, body: Arrival, count: int) -> None:
        """So many bytes more of a large body. One alone may be larger than there is room for."""
        now = self._clock()
        body.pace, body.last = body.pace_at(now) + count, now
        self._bodies.add(body)
        body.counted += count
        self.held += count
        while self.held > self._size and len(self._bodies) > 1:
            slowest = min(self._bodies, key=lambda each: each.pace_at(now))
            self.ended(slowest)
            slowest.given_way = True
            slowest.leave()

    def ended(self, body: Arrival) -> None:
        """Count it no more."""
        if body in self._bodies:
            self._bodies.remove(body)
            self.held -= body.counted


class Arrival:
    """One body on its way."""

    __slots__ = ("_arrivals", "counted", "given_way", "last", "leave", "pace")

    def __init__(self, arrivals: Arrivals, leave: Callable[[], None]) -> None:
        self._arrivals, self.leave = arrivals, leave
        self.counted = 0
        self.pace = self.last = 0.0
        """Bytes that came, each counting half after `_HALF` seconds, and when that was reckoned."""
        self.given_way = False
        """Whether its reader must let go of it."""

    def reached(self, size: int) -> None:
        """So many bytes of it are here."""
        if size > FREE and not self.given_way:
            self._arrivals.came(self, size - FREE - self.counted)

    def pace_at(self, now: float) -> float:
        """Its pace as of now."""
        return float(self.pace * 0.5 ** ((now - self.last) / _HALF))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._arrivals.ended(self)
