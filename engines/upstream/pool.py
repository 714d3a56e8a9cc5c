"""Engines that serve the same model: the least busy gets the next request, another takes over where one fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from ranvier.engines.asker import asker
from ranvier.engines.errors import EngineRefused, EngineTimeout, EngineUnfit, EngineUnreachable, NoUpstream
from ranvier.engines.models import ModelInfo
from ranvier.engines.turns import Place, Turns
from ranvier.engines.upstream.meter import UpstreamMeter
from ranvier.engines.upstream.upstream import Upstream

INVALID: Final = (400, 405, 413, 415, 422)
"""Refusals that are about the request itself: no other engine would say otherwise."""
LOOK: Final = 0.5
"""Seconds after which one who waits looks again for an engine that rested."""
TRIES: Final = 2
"""Engines that one request may go to. A request that kills what runs it must not kill everything."""


class Pool:
    """Serves one model through several engines; see `ranvier.engines.served.Serving`."""

    def __init__(self, info: ModelInfo, meter: UpstreamMeter, *, max_queue: int = 128) -> None:
        self.info = info
        self._meter, self._turns = meter, Turns(max_queue)
        self._members: list[Upstream] = []

    @property
    def waiting(self) -> int:
        """Requests that no engine has room for yet."""
        return len(self._turns)

    def add(self, upstream: Upstream, info: ModelInfo) -> None:
        """One more; raises `EngineUnfit` where it serves something else under the same name."""
        others = [one for one in self._members if one is not upstream]
        if others and info.digest != self.info.digest:
            self.drop(upstream)
            raise EngineUnfit(
                upstream.address.endpoint,
                f"its {info.id} is another one than that of {others[0].label} (digest "
                f"{info.digest[:12] or 'unknown'} against {self.info.digest[:12] or 'unknown'})",
            )
        shared = tuple(one for one in info.features if not others or one in self.info.features)
        self.info = replace(self.info if others else info, features=shared)
        self._members = [*others, upstream]
        self.wake()

    def drop(self, upstream: Upstream) -> None:
        """One less."""
        self._members = [one for one in self._members if one is not upstream]

    def wake(self) -> None:
        """Let those who wait look again: an engine has room, or is back."""
        self._turns.call()

    async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
        """Carry out a request. Raises `Full`, `NoUpstream`, or ValueError for what an engine calls invalid."""
        tried: list[Upstream] = []
        said: list[str] = []

        def hand_out(piece: str) -> None:
            said.append(piece)
            assert on_piece is not None
            on_piece(piece)

        while True:
            upstream = await self._next(tried)
            try:
                return await upstream.run(batch, item, self.info.id, hand_out if on_piece else None)
            except EngineUnfit as error:
                raise ValueError(error.reason) from error
            except (EngineUnreachable, EngineTimeout, EngineRefused) as error:
                self._judge(upstream, error, tried)
                if said:  # what was told cannot be taken back
                    raise NoUpstream(self.info.id, str(error)) from error
            finally:
                self.wake()

    def _judge(
        self,
        upstream: Upstream,
        error: EngineUnreachable | EngineTimeout | EngineRefused,
        tried: list[Upstream],
    ) -> None:
        """Whether another engine is to try: raises where that is no use."""
        tried.append(upstream)
        invalid = isinstance(error, EngineRefused) and error.status in INVALID
        self._meter.failed(upstream.label, invalid=invalid)
        if isinstance(error, EngineRefused) and invalid:
            raise ValueError(error.reason) from error
        if len(tried) >= TRIES:
            raise NoUpstream(self.info.id, str(error)) from error

    async def _next(self, tried: list[Upstream]) -> Upstream:
        """The least busy engine; waits in turn for one that is up but full. Raises `Full` and `NoUpstream`."""
        place: Place | None = None
        try:
            while True:
                able = [one for one in self._members if one not in tried]
                free = [one for one in able if one.free(self.info.id)]
                if free and self._turns.may(place):
                    self._turns.went(asker.get())
                    return min(free, key=lambda one: one.wait)
                if not any(one.up for one in able):
                    raise NoUpstream(self.info.id, self._lack(tried))
                if place is None:  # who was failed by one engine takes any other that comes free
                    place = self._turns.join(asker.get(), picky=bool(tried))
                await place.called(LOOK)
        finally:
            if place is not None:
                self._turns.leave(place)
                self.wake()

    def _lack(self, tried: list[Upstream]) -> str:
        last = tried or self._members
        return f"{last[-1].label}: {last[-1].reason or 'it is full'}" if last else "none serves it any more"

    async def stop(self) -> None:
        """Nothing runs here."""
