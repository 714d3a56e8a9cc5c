"""What all requests of one axon share, over whichever wire: who may enter, whose turn it is, what is served."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import BaseModel

from ranvier.protocol.arrivals import Arrivals
from ranvier.protocol.caller import Caller
from ranvier.protocol.codec import Encoded
from ranvier.protocol.codes import Code
from ranvier.protocol.connections import Connections
from ranvier.protocol.deadline import Deadline
from ranvier.protocol.door import Door
from ranvier.protocol.errors import Refusal
from ranvier.protocol.gate import Gate, RateLimit
from ranvier.protocol.handlers import Served
from ranvier.protocol.jobs import JobTable
from ranvier.protocol.keys import Keypair
from ranvier.protocol.limits import Limits
from ranvier.protocol.load import Load
from ranvier.protocol.nonces import ReplayGuard
from ranvier.protocol.prekeys import PrekeyRing
from ranvier.protocol.synapse import Synapse
from ranvier.protocol.threads import Workers
from ranvier.protocol.timeline import Observer, Timeline, Timelines

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a long job left: the reply as bytes, and whether it was asked for under a seal."""

    encoded: Encoded
    sealed: bool


class Service:
    """The state behind an axon's socket. ``now`` is nanoseconds since 1970."""

    def __init__(
        self,
        key: Keypair,
        *,
        door: Door,
        limits: Limits,
        replay: ReplayGuard,
        now: Callable[[], int],
        seal_required: bool,
        observe: Observer | None,
    ) -> None:
        self.key, self.door, self.limits, self.now = key, door, limits, now
        self.arrivals = Arrivals(max(limits.max_unproven, 4 * limits.max_body), time.monotonic)
        """Bodies whose senders have proven nothing yet."""
        self.gate = Gate(limits)
        self.job_gate = Gate(
            replace(limits, max_concurrent=limits.max_running_jobs, max_queue=limits.max_jobs)
        )
        self.jobs: JobTable[JobResult] = JobTable(limits, size=lambda result: len(result.encoded.body))
        self.workers = Workers(limits.max_concurrent + limits.max_running_jobs)
        """Threads for handlers that block."""
        self.prekeys, self.seal_required = PrekeyRing(key, now=now), seal_required
        self.timelines = Timelines("axon", "received", observe)
        self.served: dict[str, Served] = {}
        self.endings: Counter[str] = Counter()
        """How many requests ended in each way: ``answered`` or a refusal's code."""
        self.received = self.sent = 0
        """Bytes of bodies, as they travelled."""
        self.draining = False
        self.loop: asyncio.AbstractEventLoop
        self.connections: Connections
        """Both are set when the axon starts."""
        self._replay, self._rate = replay, RateLimit(limits)

    def deadline(self, seconds: float) -> Deadline:
        """``with`` it: raises `TimeoutError` so many seconds from now."""
        return Deadline(self.loop, self.loop.time() + seconds)

    def look(self, hotkey: str) -> None:
        """Turn away who has used up the rate of this hotkey, before its body and signature cost anything.

        Whoever only claims to be that hotkey changes nothing by it. Raises `Refusal`.
        """
        self._rate.look(hotkey, self.loop.time())

    def enter(self, hotkey: str, nonce: int, connection: object) -> Caller:
        """The caller, let in. The door keeps nothing, so it comes first: keys are free and must not fill our memory.

        Raises `Refusal`.
        """
        caller = self.door.admit(hotkey)
        self._replay.accept(hotkey, nonce, self.now())
        self._rate.take(hotkey, self.loop.time())
        if self.draining:
            raise Refusal(Code.DRAINING, "shutting down", retry_after=10.0)
        self.connections.admitted(connection)
        return caller

    async def answer(
        self,
        served: Served,
        synapse: Synapse,
        caller: Caller,
        shape: Callable[[BaseModel], T],
        timeline: Timeline | None,
    ) -> T:
        """Run the handler and shape its reply; raises `Refusal` for whatever goes wrong in either."""
        try:
            reply = await served.reply(synapse, caller)
            if timeline is not None:
                timeline.mark("handled")
            answer = shape(reply)
        except Refusal:
            raise
        except Exception as error:  # a handler may raise anything; the caller learns only that it failed
            raise self.failed(served, error) from error
        self.ended("answered", timeline)
        return answer

    def ended(self, ending: str, timeline: Timeline | None) -> None:
        """Count how a request ended."""
        self.endings[ending] += 1
        if timeline is not None:
            timeline.ending = ending

    def load(self, connections: int, cut_off: int, broken: int) -> Load:
        """What is held now; the arguments are the server's."""
        jobs, workers = self.jobs, self.workers
        return Load(
            connections=connections,
            cut_off=cut_off,
            broken=broken,
            running=self.gate.running,
            waiting=self.gate.waiting,
            jobs_running=jobs.running,
            jobs_kept=len(jobs) - jobs.running,
            jobs_bytes=jobs.bytes,
            jobs_unread=jobs.unread,
            threads=workers.threads,
            threads_busy=workers.running,
            threads_waiting=workers.waiting,
            threads_abandoned=workers.abandoned,
            prekeys=self.prekeys.rotations,
        )

    def failed(self, served: Served, error: Exception) -> Refusal:
        """What the caller is told of a handler's fault; the operator is told more."""
        _log.error("the handler of %s failed: %s: %s", served.synapse.__name__, type(error).__name__, error)
        _log.debug("handler failure", exc_info=error)
        return Refusal(Code.FAILED, "the handler failed")
