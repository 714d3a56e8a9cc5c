"""Dendrite: the client of a neuron, one for each process."""

from __future__ import annotations

import asyncio
import io
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final, Self

from ranvier.protocol.addresses import AddressPolicy
from ranvier.protocol.caller import Target
from ranvier.protocol.codec import SEALED
from ranvier.protocol.codes import Code
from ranvier.protocol.connection import Incoming, write_head
from ranvier.protocol.errand import POLL_EVERY, Errands
from ranvier.protocol.job import Job
from ranvier.protocol.keys import Keypair
from ranvier.protocol.legacy.client import legacy_request
from ranvier.protocol.legacy.dendrite import legacy_exchange, text_field
from ranvier.protocol.limits import Limits
from ranvier.protocol.message import Message, address_of
from ranvier.protocol.outbound import Failure, Outbound
from ranvier.protocol.outcome import Answered, Invalid, Outcome, Refused, TimedOut, Unreachable
from ranvier.protocol.query import Mode, Query, query_of
from ranvier.protocol.response import Response, answer, content_type, lines, refused, streamed, with_partial
from ranvier.protocol.streams import STREAM_TYPE, StreamReader
from ranvier.protocol.synapse import Synapse
from ranvier.protocol.timeline import Observer, Timeline, Timelines

_CODES: Final = frozenset(code.value for code in Code)
_ENDINGS: Final[dict[type, str]] = {
    Answered: "answered",
    Refused: "refused",
    TimedOut: "timed-out",
    Unreachable: "unreachable",
    Invalid: "invalid",
}


class Dendrite:
    """Asks miners and believes only what they signed.

    Open it with ``async with``; the constructor touches no network. Connections are kept for all calls; a hostile or
    dead peer costs its own request and nothing else.
    """

    def __init__(
        self,
        key: Keypair,
        *,
        limits: Limits | None = None,
        addresses: AddressPolicy | None = None,
        now: Callable[[], int] = time.time_ns,
        seal: bool = False,
        compress: bool = False,
        observe: Observer | None = None,
    ) -> None:
        """``seal encrypts every body, and takes no answer in clear; ``compress`` packs those in clear, where it pays.

        Neither falls back: a miner without a prekey is not asked by a dendrite that seals. ``observe`` hears the
        timeline of every call.
        """
        self.key = key
        self.limits = limits or Limits()
        self.addresses = addresses or AddressPolicy.public()
        self._outbound = Outbound(key, self.limits, self.addresses, now, seal=seal, compress=compress)
        self._errands = Errands(self._outbound)
        self._timelines = Timelines("dendrite", "begun", observe)
        self.endings: Counter[str] = Counter()
        """How many calls ended in each way: ``answered``, ``invalid``..., or a refusal's code, ``other`` if unknown."""
        self.received = 0
        """Bytes of the replies that were answers, as they travelled."""

    async def __aenter__(self) -> Self:
        self._outbound.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._errands.close()
        await self._outbound.close()

    @property
    def sent(self) -> int:
        """Bytes of request bodies, as they travelled."""
        return self._outbound.sent

    @property
    def connections(self) -> tuple[int, int]:
        """How many were opened, and how many requests found one open."""
        return self._outbound.connections

    async def ask(self, target: Target, request: Synapse, *, deadline: float) -> Outcome[Any]:
        """Send one request; whatever the peer does becomes an outcome. ``deadline`` is in seconds from now."""
        timeline = self._timelines.begin()
        outcome = await self._outbound.guarded(
            target, deadline, self._ask, target, request, deadline, timeline
        )
        self._ended(target, type(request), outcome, timeline)
        return outcome

    async def ask_all(
        self, requests: Sequence[tuple[Target, Synapse]], *, deadline: float
    ) -> list[Outcome[Any]]:
        """Ask many at the same instant with one deadline; outcomes in the order of the requests."""
        return await asyncio.gather(
            *(self.ask(target, request, deadline=deadline) for target, request in requests)
        )

    def stream(
        self, target: Target, request: Synapse, *, deadline: float
    ) -> AsyncIterator[str | Outcome[Any]]:
        """Pieces of text as they come, then the outcome. Pieces are not proven before the outcome is `Answered`.

        Any other outcome keeps them in its ``partial``.
        """
        return self._pieced(
            target, type(request), deadline, lambda pieces: self._stream(target, request, deadline, pieces)
        )

    async def _pieced(
        self,
        target: Target,
        synapse: type[Synapse],
        deadline: float,
        streamed: Callable[[asyncio.Queue[str | None]], Coroutine[Any, Any, Outcome[Any]]],
    ) -> AsyncIterator[str | Outcome[Any]]:
        timeline = self._timelines.begin()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        kept = io.StringIO()  # a list of short pieces takes ten times as much
        work = asyncio.ensure_future(self._outbound.guarded(target, deadline, streamed, pieces))
        work.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                kept.write(piece)
                yield piece
            outcome = await work
            self._ended(target, synapse, outcome, timeline)
            yield with_partial(outcome, kept.getvalue())
        finally:
            work.cancel()

    async def ask_job(
        self, target: Target, request: Synapse, *, within: float, deadline: float = 10.0
    ) -> Outcome[Any]:
        """Begin a long job and poll until it ends, at most ``within`` seconds; cancelled with this call.

        ``deadline`` is for beginning it, in seconds. A miner that cannot be reached for a while is asked again.
        """
        timeline = self._timelines.begin()
        outcome = await self._errands.run(target, request, within, deadline)
        self._ended(target, type(request), outcome, timeline)
        return outcome

    async def start_job(
        self, target: Target, request: Synapse, *, within: float, deadline: float = 10.0
    ) -> Job | Refused | Failure:
        """Begin a long job that may take ``within`` seconds; where its fate is unknown it says so (``doubt``)."""
        return await self._errands.start(target, request, within, deadline)

    async def poll_job(self, job: Job, *, wait: float = POLL_EVERY) -> Outcome[Any] | None:
        """The job's outcome; None if it still runs after ``wait`` seconds (at most 60)."""
        return await self._errands.poll(job, wait)

    async def cancel_job(self, job: Job, *, deadline: float = 10.0) -> Outcome[Any] | None:
        """End a job, whatever it has come to: None, or what went wrong."""
        return await self._errands.cancel(job, deadline)

    async def ask_legacy(self, target: Target, request: Synapse, *, deadline: float) -> Outcome[Any]:
        """Ask an axon of the 10.x wire. An answer is never proven; nothing falls back to this by itself.

        Raises ValueError for a tensor that 10.x cannot hold.
        """
        timeline = self._timelines.begin()
        outcome = await self._outbound.guarded(target, deadline, self._ask_legacy, target, request, deadline)
        self._ended(target, type(request), outcome, timeline)
        return outcome

    def stream_legacy(
        self, target: Target, request: Synapse, *, deadline: float
    ) -> AsyncIterator[str | Outcome[Any]]:
        """As `stream`, of a 10.x axon: nothing is ever proven, and the text is the one required field of the reply.

        Raises `SynapseUnfit` for a reply that text alone does not make.
        """
        text_field(type(request))
        return self._pieced(
            target,
            type(request),
            deadline,
            lambda pieces: self._ask_legacy(target, request, deadline, pieces.put_nowait),
        )

    async def _ask(
        self, target: Target, request: Synapse, deadline: float, timeline: Timeline | None
    ) -> Outcome[Any]:
        query = query_of(type(request), deadline)
        if not self._outbound.seals:
            return await self._once(target, request, query, timeline)
        return await self._outbound.resealing(target, lambda: self._once(target, request, query, timeline))

    async def _once(
        self, target: Target, request: Synapse, query: Query, timeline: Timeline | None
    ) -> Outcome[Any]:
        started = self._outbound.clock()
        message = await self._outbound.message(target, request.route(), request, query)
        if timeline is not None:
            timeline.mark("prepared")
        async with self._outbound.post(message) as received:
            if timeline is not None:
                timeline.mark("head")
            limit = self._outbound.limit(type(request))
            response = await Response.read(received, limit, self._outbound.room)
        if timeline is not None:
            timeline.mark("whole")
        elapsed = self._outbound.clock() - started
        return answer(target, elapsed, type(request), message, response, message.query, limit)

    def _ended(
        self, target: Target, synapse: type[Synapse], outcome: Outcome[Any], timeline: Timeline | None
    ) -> None:
        """Count an outcome, and tell its timeline."""
        ending = _ENDINGS[type(outcome)]
        if isinstance(outcome, Answered):
            self.received += outcome.size
        elif isinstance(outcome, Refused):
            ending = outcome.code if outcome.code in _CODES else "other"
        self.endings[ending] += 1
        if timeline is not None:
            timeline.mark("verified")
            timeline.synapse, timeline.peer, timeline.ending = synapse.__name__, target.hotkey, ending
            self._timelines.end(timeline)

    async def _stream(
        self, target: Target, request: Synapse, deadline: float, pieces: asyncio.Queue[str | None]
    ) -> Outcome[Any]:
        started, query = self._outbound.clock(), query_of(type(request), deadline, Mode.STREAM)
        limit = self._outbound.limit(type(request))

        async def once() -> Outcome[Any]:
            message = await self._outbound.message(target, request.route(), request, query)
            async with self._outbound.post(message) as response:
                if not _streams(response, STREAM_TYPE + (SEALED if message.session else "")):
                    return refused(
                        target,
                        self._outbound.clock() - started,
                        message,
                        await Response.read(response, limit, self._outbound.room),
                    )
                most, size = type(request).max_values, 0
                reader = StreamReader(target.hotkey, message.digest, message.session, most)
                async for line in lines(response, limit):
                    size += len(line)
                    piece = reader.take(line)
                    if piece is not None:
                        pieces.put_nowait(piece)
            return streamed(target, self._outbound.clock() - started, type(request), reader, size, limit)

        return await self._outbound.resealing(target, once)

    async def _ask_legacy(
        self,
        target: Target,
        request: Synapse,
        deadline: float,
        take: Callable[[str], None] | None = None,
    ) -> Outcome[Any]:
        self._outbound.check_address(target)
        headers, body = legacy_request(self.key, target, request, deadline, self._outbound.nonces.next())
        head = write_head("POST", address_of(target), request.route(), headers, len(body))
        message = Message(target, head, body, b"", Query())
        limit, room = self._outbound.limit(type(request)), self._outbound.room
        return await legacy_exchange(self._outbound.post(message), target, request, limit, room, take)


def _streams(response: Incoming, form: str) -> bool:
    """Whether a stream comes; anything else is read whole, and means what it says there."""
    plain = response.status == 200 and "content-encoding" not in response.headers
    return plain and content_type(response) == form
