"""Room for large replies: memory that all calls of a dendrite share, for bytes that nobody has verified yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from ranvier.protocol.errors import InvalidReply

FREE: Final = 1 << 16
"""Bytes of a reply that need no room: what a connection holds in its buffers anyway."""
PATIENCE: Final = 0.5
"""Seconds between two looks at who holds room while others wait for it."""
LEAST: Final = 1 << 15
"""Bytes that must have come in between to keep it."""


class Room:
    """At most ``size`` bytes of large replies at once; the rest wait in order of arrival, and TCP makes them.

    While anybody waits, a reply that comes slower than `LEAST` bytes in `PATIENCE` seconds loses its place: whoever
    announces much and sends little must not keep the others out.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._waiting: deque[tuple[Stay, asyncio.Future[None]]] = deque()
        self._stays: set[Stay] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def free(self) -> int:
        """Bytes that nobody holds."""
        return self._free

    def stay(self, size: int, leave: Callable[[], None]) -> Stay:
        """``async with`` it: holds ``size`` bytes, or all there are if that is less. ``leave`` ends its connection."""
        return Stay(self, min(size, self._size), leave)

    async def enter(self, stay: Stay) -> None:
        """Wait for its bytes and hold them."""
        if self._waiting or stay.size > self._free:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((stay, turn))
            self._watch()
            try:
                await turn
            except asyncio.CancelledError:
                if (stay, turn) in self._waiting:
                    self._waiting.remove((stay, turn))
                    self._admit()
                self.exit(stay)  # it may have been let in just before
                raise
            return
        self._hold(stay)

    def exit(self, stay: Stay) -> None:
        """Give its bytes back."""
        if stay in self._stays:
            self._stays.remove(stay)
            self._free += stay.size
            self._admit()

    def _hold(self, stay: Stay) -> None:
        self._free -= stay.size
        self._stays.add(stay)
        stay.since = asyncio.get_running_loop().time()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0].size <= self._free:
            stay, turn = self._waiting.popleft()
            if not turn.done():
                self._hold(stay)
                turn.set_result(None)

    def _watch(self) -> None:
        if self._timer is None:
            for stay in self._stays:
                stay.came = 0
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        before = asyncio.get_running_loop().time() - PATIENCE
        for stay in [stay for stay in self._stays if stay.came < LEAST and stay.since <= before]:
            stay.evict()
        if self._waiting:
            self._watch()


class Stay:
    """One large reply's place in the room."""

    __slots__ = ("_evicted", "_leave", "_room", "came", "since", "size")

    def __init__(self, room: Room, size: int, leave: Callable[[], None]) -> None:
        self._room, self.size, self._leave = room, size, leave
        self._evicted = False
        self.came = 0
        """Bytes since the last look."""
        self.since = 0.0
        """When it was let in, by the loop's clock: who has just come is not slow."""

    def evict(self) -> None:
        """Lose the place: its reader finds the connection broken."""
        self._evicted = True
        self._leave()
        self._room.exit(self)

    async def __aenter__(self) -> Self:
        await self._room.enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.exit(self)
        if self._evicted and (error is None or isinstance(error, OSError | EOFError)):
            raise InvalidReply("the reply came too slowly while others waited for its memory") from error
