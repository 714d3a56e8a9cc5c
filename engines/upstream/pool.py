"""Engines that serve the same model: the least busy gets the next request, another takes over where one fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from ranvier.engines.asker import asker
from ranvier.engines.errors import (
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnfit,
    EngineUnreachable,
    NoUpstream,
)
from ranvier.engines.models import SEEDED_GUMBEL, ModelInfo, Sampling, TextRequest
from ranvier.engines.turns import Place, Turns
from ranvier.engines.upstream.meter import UpstreamMeter
from ranvier.engines.upstream.upstream import BUSY, INVALID, Upstream

LOOK: Final = 5.0
"""Seconds after which one who waits looks again, called or not."""
LONG: Final = 10.0
"""Seconds: where all engines are to be left alone for longer, a request does not wait for them."""
BUSY_TRIES: Final = 5
"""Refusals for now that one request takes before it gives up."""
TRIES: Final = 2
"""Engines that one request may go to. A request that kills what runs it must not kill everything."""
Tried = tuple[Upstream, int]
"""An engine that failed at a request, and which of its lives that was: the process after it may be tried again."""
FEW: Final = 8
"""Answers at once up to which a light engine is asked: one without a GPU writes up to so many at least as fast alone as
together (`benchmarks/engines`)."""
LIGHT: Final = "light"
"""The fact of a model that names its light engine's weights."""


class Pool:
    """Serves one model through several engines; see `ranvier.engines.served.Serving`."""

    def __init__(self, info: ModelInfo, meter: UpstreamMeter, *, max_queue: int = 128) -> None:
        self.info = info
        self._meter, self._turns = meter, Turns(max_queue)
        self._members: dict[Upstream, ModelInfo] = {}
        self._light: Upstream | None = None
        self._writing = 0
        """Answers that are asked for now."""

    @property
    def waiting(self) -> int:
        """Requests that no engine has room for yet."""
        return len(self._turns)

    @property
    def empty(self) -> bool:
        """Whether no engine serves it any more, up or down."""
        return not self._members

    def add(self, upstream: Upstream, info: ModelInfo) -> None:
        """One more; raises `EngineUnfit` where it serves something else than those that are up.

        One that is down and served something else has to say again what it serves.
        """
        others = {one: has for one, has in self._members.items() if one is not upstream}
        for one, has in others.items():
            if has.digest == info.digest and (has.dtype == info.dtype or "" in (has.dtype, info.dtype)):
                continue
            self.drop(upstream if one.up else one)
            if one.up:
                raise EngineUnfit(
                    upstream.address.endpoint,
                    f"its {info.id} is another one than that of {one.label} (digest {_told(info)} against "
                    f"{_told(has)})",
                )
        self._members[upstream] = info
        upstream.changed.add(self.wake)
        self._declare()
        self.wake()

    def lighten(self, upstream: Upstream) -> None:
        """Unseeded requests go there while they are few: it is quicker for these, and its weights may be others."""
        self._light = upstream
        self._declare()

    def drop(self, upstream: Upstream) -> None:
        """One less."""
        if upstream is self._light:
            self._light = None
        upstream.changed.discard(self.wake)
        if self._members.pop(upstream, None) is not None:
            self._declare()
            self.wake()

    def _declare(self) -> None:
        """What all offer."""
        first, *others = self._members.values() or [self.info]
        shared = tuple(one for one in first.features if all(one in other.features for other in others))
        extra = {key: value for key, value in first.extra.items() if key != LIGHT}
        if self._light is not None:
            extra[LIGHT] = self._light.names.get(self.info.id, "")
        self.info = replace(first, features=shared, extra=extra)

    def wake(self) -> None:
        """Let those who wait look again: an engine has room, or is back."""
        self._turns.call()

    async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
        """Carry out a request. Raises `Full`, `NoUpstream`, or ValueError for what an engine calls invalid."""
        self._check(batch, item)
        said = False

        def hand_out(piece: str) -> None:
            nonlocal said
            said = True
            assert on_piece is not None
            on_piece(piece)

        told = hand_out if on_piece else None
        self._writing += batch == "generate"
        try:
            light = self._light_for(batch, item)
            if light is not None:
                try:
                    return await light.run(batch, item, self.info.id, told)
                except EngineError as error:  # whatever it cannot do, the others may
                    self._meter.failed(light.label, invalid=False)
                    if said:
                        raise NoUpstream(self.info.id, str(error)) from error
            return await self._through(batch, item, told, lambda: said)
        finally:
            self._writing -= batch == "generate"

    def _light_for(self, batch: str, item: Any) -> Upstream | None:
        """The light engine, where it is to take a request. Penalties mean a little other things there."""
        if self._light is None or batch != "generate" or not self._light.free(self.info.id):
            return None
        how: Sampling = item.sampling
        plain = (how.presence_penalty, how.frequency_penalty, how.repetition_penalty) == (0, 0, 1)
        return self._light if how.seed is None and plain and self._writing <= FEW else None

    async def _through(
        self, batch: str, item: Any, on_piece: Callable[[str], None] | None, said: Callable[[], bool]
    ) -> Any:
        tried: list[Tried] = []
        busy = 0
        while True:
            upstream = await self._next(tried, again=bool(busy or tried))
            try:
                return await upstream.run(batch, item, self.info.id, on_piece)
            except EngineUnfit as error:
                raise ValueError(error.reason) from error
            except (EngineUnreachable, EngineTimeout, EngineRefused) as error:
                self._judge(upstream, error, tried)
                busy += upstream not in [one for one, _ in tried]
                if said() or busy >= BUSY_TRIES:  # what was told cannot be taken back
                    raise NoUpstream(self.info.id, str(error)) from error

    def _check(self, batch: str, item: Any) -> None:
        """Turn away what not all of the engines offer: who gets it must make no difference."""
        seeded = isinstance(item, TextRequest) and item.sampling.seed is not None
        for needed, feature in ((seeded, SEEDED_GUMBEL), (batch == "score", "score")):
            if needed and feature not in self.info.features:
                raise ValueError(f"{self.info.id} does not offer {feature}")

    def _judge(
        self,
        upstream: Upstream,
        error: EngineUnreachable | EngineTimeout | EngineRefused,
        tried: list[Tried],
    ) -> None:
        """Note in ``tried`` who failed, not who was busy; raises where no other engine is to try."""
        status = error.status if isinstance(error, EngineRefused) else 0
        self._meter.failed(upstream.label, invalid=status in INVALID)
        if status in INVALID:
            raise ValueError(getattr(error, "reason", "")) from error
        if status not in BUSY:
            tried.append((upstream, upstream.lives))
        if len(tried) >= TRIES:
            raise NoUpstream(self.info.id, str(error)) from error

    async def _next(self, tried: Sequence[Tried], *, again: bool) -> Upstream:
        """The least busy engine; waits in turn for one that is up but full. Raises `Full` and `NoUpstream`."""
        place: Place | None = None
        try:
            while True:
                able = [one for one in self._members if (one, one.lives) not in tried]
                free = [one for one in able if one.free(self.info.id)]
                if free and self._turns.may(place):
                    self._turns.went(asker.get())
                    return min(free, key=lambda one: one.wait)
                rest = min((one.resting for one in able if one.up), default=None)
                if (rest is None or rest > LONG) and not any(one.coming for one in self._members):
                    raise NoUpstream(self.info.id, self._lack(tried), max(2.0, rest or 0.0))
                if place is None:  # who was failed by one engine takes any other that comes free
                    place = self._turns.join(asker.get(), picky=again)
                await place.called(LOOK)
        finally:
            if place is not None:
                self._turns.leave(place)
                self.wake()

    def _lack(self, tried: Sequence[Tried]) -> str:
        last = ([one for one, _ in tried] or list(self._members))[-1:]
        return (
            "".join(f"{one.label}: {one.reason or 'it is busy'}" for one in last) or "none serves it any more"
        )

    async def stop(self) -> None:
        """Nothing runs here."""


def _told(info: ModelInfo) -> str:
    """What tells two models of one name apart."""
    return " in ".join(filter(None, (info.digest[:12] or "unknown", info.dtype)))
