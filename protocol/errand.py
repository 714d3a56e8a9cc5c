"""Long jobs as their caller runs them: begin, poll, cancel, wait for the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from ranvier.protocol.caller import Target
from ranvier.protocol.codes import Code
from ranvier.protocol.job import JOB_ROUTE, MAX_WAIT, Job, JobPoll
from ranvier.protocol.message import Message
from ranvier.protocol.outbound import Failure, Outbound
from ranvier.protocol.outcome import Invalid, Outcome, Refused, TimedOut, Unreachable
from ranvier.protocol.query import Mode, Query, query_of
from ranvier.protocol.response import answer, refused
from ranvier.protocol.synapse import Synapse

POLL_EVERY: Final = 10.0
"""Seconds that one poll for a long job waits at the miner."""
_SLACK: Final = 5.0
_STATE: Final = 4096
"""Bytes of a job's state that are read; ours are a hundred."""
"""Seconds beyond its wait that a poll may take."""


class Errands:
    """The jobs of one dendrite. A job that is waited for is cancelled at the miner when the waiting is."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._farewells: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Wait until the jobs that were given up have been told so."""
        if self._farewells:
            await asyncio.wait(self._farewells)

    async def run(self, target: Target, request: Synapse, within: float, deadline: float) -> Outcome[Any]:
        """Begin and poll until the end, or until ``within`` seconds have passed."""
        started = self._outbound.clock()
        job = await self.start(target, request, within, deadline)
        if not isinstance(job, Job):
            return job
        try:
            outcome = await self.ended(job, started + within)
        except asyncio.CancelledError:
            farewell = asyncio.ensure_future(self.cancel(job, deadline=2.0))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)
            raise
        return replace(outcome, elapsed=self._outbound.clock() - started)

    async def start(
        self, target: Target, request: Synapse, within: float, deadline: float
    ) -> Job | Refused | Failure:
        """Begin a job; `Job.doubt` says what its beginning came to where its fate is not known."""
        # The beginning itself has the deadline: a job whose acknowledgement is late must not lose its name.
        outer = deadline + _SLACK
        return await self._outbound.guarded(target, outer, self._start, target, request, within, deadline)

    async def poll(self, job: Job, wait: float) -> Outcome[Any] | None:
        """The outcome; None if it still runs after ``wait`` seconds."""
        wait = min(wait, MAX_WAIT)
        poll = JobPoll(job=job.id, wait=int(wait * 1000))
        return await self._outbound.guarded(job.target, wait + _SLACK, self._poll, job, poll)

    async def cancel(self, job: Job, deadline: float) -> Outcome[Any] | None:
        """End it: None, or what went wrong."""
        poll = JobPoll(job=job.id, cancel=True)
        return await self._outbound.guarded(job.target, deadline, self._poll, job, poll)

    async def _start(
        self, target: Target, request: Synapse, within: float, deadline: float
    ) -> Job | Refused | Failure:
        query = query_of(type(request), within, Mode.JOB)

        async def once() -> Job | Refused | Failure:
            message = await self._outbound.message(target, request.route(), request, query)
            job = Job(target, type(request), message.digest.hex(), query)
            begun = await self._outbound.guarded(target, deadline, self._state, target, message)
            if isinstance(begun, TimedOut | Invalid):
                return replace(job, doubt=begun)
            return begun or job

        return await self._outbound.resealing(target, once)

    async def _state(self, target: Target, message: Message) -> Refused | Invalid | None:
        """None for an acknowledgement. Raises `InvalidReply`."""
        started = self._outbound.clock()
        response = await self._outbound.response(message, _STATE)
        if response.status != 202:
            return refused(target, self._outbound.clock() - started, message, response)
        response.check(target, message)
        response.opened(message)
        return None

    async def _poll(self, job: Job, poll: JobPoll) -> Outcome[Any] | None:
        started, query = self._outbound.clock(), Query(deadline=poll.wait + int(_SLACK * 1000))

        async def once() -> Outcome[Any] | None:
            message = await self._outbound.message(job.target, JOB_ROUTE, poll, query)
            limit = self._outbound.limit(job.synapse)
            response = await self._outbound.response(message, limit)
            if response.status == 202:
                response.check(job.target, message)
                response.opened(message)
                return None
            asked = replace(job.query, unpack=message.query.unpack)
            return answer(
                job.target,
                self._outbound.clock() - started,
                job.synapse,
                message,
                response,
                asked,
                limit,
            )

        return await self._outbound.resealing(job.target, once)

    async def ended(self, job: Job, until: float) -> Outcome[Any]:
        """What a job came to by ``until`` (loop time); what only its connection came to is asked again."""
        while (left := until - self._outbound.clock()) > 0:
            outcome = await self.poll(job, min(left, POLL_EVERY))
            if isinstance(outcome, Refused) and outcome.code == Code.UNKNOWN_JOB and job.doubt is not None:
                return job.doubt
            if isinstance(outcome, TimedOut | Unreachable):
                await asyncio.sleep(min(1.0, left))
            elif outcome is not None:
                return outcome
        return TimedOut(job.target, 0.0)
