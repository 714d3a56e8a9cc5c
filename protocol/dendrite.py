"""Dendrite: the client of a neuron, one for each process."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from pydantic import BaseModel

from ranvier.protocol.addresses import AddressPolicy
from ranvier.protocol.caller import Target
from ranvier.protocol.codec import SEALED, is_binary
from ranvier.protocol.codes import Code
from ranvier.protocol.connection import write_head
from ranvier.protocol.deadline import Deadline
from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.job import JOB_ROUTE, MAX_WAIT, Job, JobPoll
from ranvier.protocol.keys import Keypair
from ranvier.protocol.legacy.client import legacy_request
from ranvier.protocol.legacy.dendrite import legacy_exchange, text_field
from ranvier.protocol.limits import Limits
from ranvier.protocol.message import Message, Sender, address_of
from ranvier.protocol.nonces import NonceClock
from ranvier.protocol.outcome import Invalid, Outcome, Refused, TimedOut, Unreachable
from ranvier.protocol.pool import Pool, Sending
from ranvier.protocol.prekeys import MAX_DOCUMENT, PREKEY_ROUTE, Prekey, PrekeyCache
from ranvier.protocol.query import Mode, Query
from ranvier.protocol.response import Response, answer, content_type, lines, refused, streamed, with_partial
from ranvier.protocol.streams import STREAM_TYPE, StreamReader
from ranvier.protocol.synapse import Synapse

T = TypeVar("T")
P = ParamSpec("P")
Failure = Invalid | TimedOut | Unreachable

POLL_EVERY: Final = 10.0
"""Seconds that one poll for a long job waits at the miner."""
_SLACK: Final = 5.0
"""Seconds beyond its wait that a poll may take."""


class Dendrite:
    """Asks miners and believes only what they signed.

    Open it with ``async with``; the constructor touches no network. One session is kept for all calls; a hostile or
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
    ) -> None:
        """``seal`` encrypts every body, and takes no answer in clear; ``compress`` packs those in clear, where it pays.

        Neither falls back: a miner without a prekey is not asked by a dendrite that seals.
        """
        self.key = key
        self.limits = limits or Limits()
        self.addresses = addresses or AddressPolicy.public()
        self._now, self._nonces = now, NonceClock(now)
        self._sender = Sender(key, compress)
        self._prekeys = PrekeyCache(now=now) if seal else None
        self._pool: Pool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._farewells: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(self.addresses)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._farewells:
            await asyncio.wait(self._farewells)
        if self._pool is not None:
            self._pool.close()
            await asyncio.sleep(0)  # the sockets close in the loop's next step
        self._pool = self._loop = None

    async def ask(self, target: Target, request: Synapse, *, deadline: float) -> Outcome[Any]:
        """Send one request; whatever the peer does becomes an outcome. ``deadline`` is in seconds from now."""
        return await self._guarded(target, deadline, self._ask, target, request, deadline)

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
        return self._pieced(target, deadline, lambda pieces: self._stream(target, request, deadline, pieces))

    async def _pieced(
        self,
        target: Target,
        deadline: float,
        streamed: Callable[[asyncio.Queue[str | None]], Coroutine[Any, Any, Outcome[Any]]],
    ) -> AsyncIterator[str | Outcome[Any]]:
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        kept: list[str] = []
        work = asyncio.ensure_future(self._guarded(target, deadline, streamed, pieces))
        work.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                kept.append(piece)
                yield piece
            yield with_partial(await work, kept)
        finally:
            work.cancel()

    async def ask_job(
        self, target: Target, request: Synapse, *, within: float, deadline: float = 10.0
    ) -> Outcome[Any]:
        """Begin a long job and poll until it ends, at most ``within`` seconds; cancelled with this call.

        ``deadline`` is for beginning it, in seconds. A miner that cannot be reached for a while is asked again.
        """
        started = self._clock()
        job = await self.start_job(target, request, within=within, deadline=deadline)
        if not isinstance(job, Job):
            return job
        try:
            outcome = await self._ended(job, started + within)
        except asyncio.CancelledError:
            farewell = asyncio.ensure_future(self.cancel_job(job, deadline=2.0))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)
            raise
        return replace(outcome, elapsed=self._clock() - started)

    async def start_job(
        self, target: Target, request: Synapse, *, within: float, deadline: float = 10.0
    ) -> Job | Refused | Failure:
        """Begin a long job that may take ``within`` seconds; where its fate is unknown it says so (``doubt``)."""
        return await self._guarded(target, deadline, self._start, target, request, within, deadline)

    async def poll_job(self, job: Job, *, wait: float = POLL_EVERY) -> Outcome[Any] | None:
        """The job's outcome; None if it still runs after ``wait`` seconds (at most 60)."""
        wait = min(wait, MAX_WAIT)
        poll = JobPoll(job=job.id, wait=int(wait * 1000))
        return await self._guarded(job.target, wait + _SLACK, self._poll, job, poll)

    async def cancel_job(self, job: Job, *, deadline: float = 10.0) -> Outcome[Any] | None:
        """End a job, whatever it has come to: None, or what went wrong."""
        return await self._guarded(job.target, deadline, self._poll, job, JobPoll(job=job.id, cancel=True))

    async def ask_legacy(self, target: Target, request: Synapse, *, deadline: float) -> Outcome[Any]:
        """Ask an axon of the 10.x wire. An answer is never proven; nothing falls back to this by itself.

        Raises ValueError for a tensor that 10.x cannot hold.
        """
        return await self._guarded(target, deadline, self._ask_legacy, target, request, deadline)

    def stream_legacy(
        self, target: Target, request: Synapse, *, deadline: float
    ) -> AsyncIterator[str | Outcome[Any]]:
        """As `stream`, of a 10.x axon: nothing is ever proven, and the text is the one required field of the reply.

        Raises `SynapseUnfit` for a reply that text alone does not make.
        """
        text_field(type(request))
        return self._pieced(
            target,
            deadline,
            lambda pieces: self._ask_legacy(target, request, deadline, pieces.put_nowait),
        )

    async def _guarded(
        self,
        target: Target,
        deadline: float,
        work: Callable[P, Coroutine[Any, Any, T]],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> T | Failure:
        """Whatever goes wrong with the peer is an outcome, never an exception."""
        if self._loop is None:
            raise RuntimeError("open the dendrite first: `async with Dendrite(key) as dendrite:`")
        started = self._loop.time()
        try:
            with Deadline(self._loop, started + deadline):
                return await work(*arguments, **options)
        except TimeoutError:
            return TimedOut(target, self._clock() - started)
        except InvalidReply as error:
            return Invalid(target, self._clock() - started, str(error))
        except asyncio.IncompleteReadError:
            return Invalid(
                target, self._clock() - started, "the connection broke: it ended before the reply did"
            )
        except OSError as error:
            return Unreachable(target, self._clock() - started, (error.strerror or str(error))[:200])

    async def _ask(self, target: Target, request: Synapse, deadline: float) -> Outcome[Any]:
        query = _query(type(request), max(1, int(deadline * 1000)))
        if self._prekeys is None:
            return await self._once(target, request, query)
        return await self._resealing(target, lambda: self._once(target, request, query))

    async def _once(self, target: Target, request: Synapse, query: Query) -> Outcome[Any]:
        started = self._clock()
        message = await self._message(target, request.route(), request, query)
        async with self._post(message) as received:
            response = await Response.read(received, self.limits)
        elapsed = self._clock() - started
        return answer(target, elapsed, type(request), message, response, message.query, self.limits)

    async def _resealing(self, target: Target, once: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Once more with a fresh prekey, where the miner proves that it erased the one that was used."""
        outcome = await once()
        if self._prekeys is None or not isinstance(outcome, Refused):
            return outcome
        if outcome.code != Code.UNKNOWN_PREKEY or not outcome.proven:
            return outcome
        self._prekeys.forget(target.hotkey)
        return await once()

    async def _stream(
        self, target: Target, request: Synapse, deadline: float, pieces: asyncio.Queue[str | None]
    ) -> Outcome[Any]:
        started, query = self._clock(), _query(type(request), max(1, int(deadline * 1000)), Mode.STREAM)

        async def once() -> Outcome[Any]:
            message = await self._message(target, request.route(), request, query)
            async with self._post(message) as response:
                if content_type(response) != STREAM_TYPE + (SEALED if message.session else ""):
                    return refused(
                        target, self._clock() - started, message, await Response.read(response, self.limits)
                    )
                reader, size = StreamReader(target.hotkey, message.digest, message.session), 0
                async for line in lines(response, self.limits.max_reply):
                    size += len(line)
                    piece = reader.take(line)
                    if piece is not None:
                        pieces.put_nowait(piece)
            return streamed(target, self._clock() - started, type(request), reader, size, self.limits)

        return await self._resealing(target, once)

    async def _start(
        self, target: Target, request: Synapse, within: float, deadline: float
    ) -> Job | Refused | Failure:
        query = _query(type(request), max(1, int(within * 1000)), Mode.JOB)

        async def once() -> Job | Refused | Failure:
            message = await self._message(target, request.route(), request, query)
            job = Job(target, type(request), message.digest.hex(), query)
            begun = await self._guarded(target, deadline, self._state, target, message)
            if isinstance(begun, TimedOut | Invalid):
                return replace(job, doubt=begun)
            return begun or job

        return await self._resealing(target, once)

    async def _state(self, target: Target, message: Message) -> Refused | Invalid | None:
        """None for an acknowledgement. Raises `InvalidReply`."""
        started = self._clock()
        response = await self._response(message)
        if response.status != 202:
            return refused(target, self._clock() - started, message, response)
        response.check(target, message)
        response.opened(message)
        return None

    async def _poll(self, job: Job, poll: JobPoll) -> Outcome[Any] | None:
        started, query = self._clock(), Query(deadline=poll.wait + int(_SLACK * 1000))

        async def once() -> Outcome[Any] | None:
            message = await self._message(job.target, JOB_ROUTE, poll, query)
            response = await self._response(message)
            if response.status == 202:
                response.check(job.target, message)
                response.opened(message)
                return None
            asked = replace(job.query, unpack=message.query.unpack)
            return answer(
                job.target, self._clock() - started, job.synapse, message, response, asked, self.limits
            )

        return await self._resealing(job.target, once)

    async def _ended(self, job: Job, until: float) -> Outcome[Any]:
        """What a job came to by ``until`` (loop time); what only its connection came to is asked again."""
        while (left := until - self._clock()) > 0:
            outcome = await self.poll_job(job, wait=min(left, POLL_EVERY))
            if isinstance(outcome, Refused) and outcome.code == Code.UNKNOWN_JOB and job.doubt is not None:
                return job.doubt
            if isinstance(outcome, TimedOut | Unreachable):
                await asyncio.sleep(min(1.0, left))
            elif outcome is not None:
                return outcome
        return TimedOut(job.target, 0.0)

    async def _ask_legacy(
        self,
        target: Target,
        request: Synapse,
        deadline: float,
        take: Callable[[str], None] | None = None,
    ) -> Outcome[Any]:
        self._check_address(target)
        headers, body = legacy_request(self.key, target, request, deadline, self._nonces.next())
        head = write_head("POST", address_of(target), request.route(), headers, len(body))
        message = Message(target, head, body, b"", Query())
        return await legacy_exchange(self._post(message), target, request, self.limits, take)

    async def _message(self, target: Target, route: str, request: BaseModel, query: Query) -> Message:
        """The request signed; raises OSError for an address that must not be called."""
        self._check_address(target)
        prekey = None if self._prekeys is None else await self._prekey(target, self._prekeys)
        return self._sender.write(target, route, request, query, self._nonces.next(), prekey)

    async def _prekey(self, target: Target, cache: PrekeyCache) -> Prekey:
        """The miner's prekey, from memory or from the miner. Raises `InvalidReply` for one that cannot be believed."""
        held = cache.get(target.hotkey)
        if held is not None:
            return held
        head = write_head("GET", address_of(target), PREKEY_ROUTE, {}, 0)
        async with self._opened().send(target.host, target.port, head, b"") as incoming:
            found = await incoming.read(MAX_DOCUMENT)
        if incoming.status != 200:
            raise InvalidReply("the miner has no prekey: it cannot be asked under a seal")
        prekey = Prekey.read(found, target.hotkey, self._now())
        cache.put(prekey)
        return prekey

    def _clock(self) -> float:
        """Seconds by the loop's clock: the one that deadlines go by, also where a test simulates time."""
        return (self._loop or asyncio.get_running_loop()).time()

    def _check_address(self, target: Target) -> None:
        refusal = self.addresses.refusal(target.host)
        if not 0 < target.port < 1 << 16:
            refusal = f"{target.port} is no port that can be called"
        if refusal is not None:
            raise OSError(errno.EADDRNOTAVAIL, refusal)

    async def _response(self, message: Message) -> Response:
        async with self._post(message) as response:
            return await Response.read(response, self.limits)

    def _post(self, message: Message) -> Sending:
        target = message.target
        return self._opened().send(target.host, target.port, message.head, message.body)

    def _opened(self) -> Pool:
        if self._pool is None:
            raise RuntimeError("the dendrite is closed")
        return self._pool


@lru_cache(maxsize=1024)
def _query(synapse: type[Synapse], deadline: int, mode: Mode = Mode.REPLY) -> Query:
    return Query(deadline=deadline, binary=is_binary(synapse), mode=mode)
