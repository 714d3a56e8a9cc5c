"""Long jobs of an axon: started by one request, asked for by later ones, bounded in number, bytes and time."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.limits import Limits

T = TypeVar("T")
_log = logging.getLogger(__name__)

MAX_POLLS: Final = 4
"""Callers' requests that may wait for one job at a time."""
MAX_KEPT: Final = 64 << 20
"""Bytes of all results together."""
STOP_ROUNDS: Final = 5
"""How often, a second apart, a job is told to end when the axon stops."""


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    """A job has a task until it ended, and from then on an outcome."""

    id: str
    owner: str
    task: asyncio.Task[T] | None
    settled: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """It ended or was cancelled: nobody has to wait any longer."""
    outcome: T | Refusal | None = None
    size: int = 0
    polls: int = 0
    read: bool = False
    cancelled: bool = False
    """Unknown to its owner; it keeps its place for as long as its task lives."""
    expiry: asyncio.TimerHandle | None = None

    def settle(self) -> None:
        """Let those who wait go on."""
        if not self.settled.done():
            self.settled.set_result(None)


class JobTable(Generic[T]):
    """Jobs by id, each known to its owner only.

    A result may be read again until ``job_ttl`` seconds after the job's end. It goes earlier when it was read and
    another job needs its place, or when all results together are over ``max_bytes``: then one of the owner who has
    most, read ones first, the oldest first. ``size`` tells a result's bytes.
    """

    def __init__(self, limits: Limits, *, size: Callable[[T], int], max_bytes: int = MAX_KEPT) -> None:
        self._limits, self._size, self._max_bytes = limits, size, max_bytes
        self._jobs: dict[str, _Job[T]] = {}
        self._stopped = False
        self.bytes = 0
        """Of the results that are kept."""
        self.endings: Counter[str] = Counter()
        """How many jobs ended in each way: ``answered``, ``cancelled`` or a refusal's code."""
        self.unread = 0
        """Results that were forgotten before anybody had read them."""

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def running(self) -> int:
        """Jobs that have not ended, cancelled ones with them."""
        return sum(job.task is not None for job in self._jobs.values())

    def start(self, id: str, owner: str, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Begin. Raises `Refusal`: ``busy`` where the table, or the owner's part of it, is full; ``replayed`` for an
        id that there is; ``draining`` after `stop`.
        """
        if self._stopped:
            raise Refusal(Code.DRAINING, "shutting down", retry_after=10.0)
        if id in self._jobs:
            raise Refusal(Code.REPLAYED, "this job was begun before")
        own = [job for job in self._jobs.values() if job.owner == owner]
        self._make_room(own, self._limits.max_jobs_per_caller)
        self._make_room(self._jobs.values(), self._limits.max_jobs)
        task = asyncio.get_running_loop().create_task(work(), name=f"job {id[:8]}")
        job = self._jobs[id] = _Job(id, owner, task)
        task.add_done_callback(lambda task: self._end(job, task))

    async def wait(self, id: str, owner: str, patience: float) -> T | None:
        """The result within ``patience`` seconds; None while it runs.

        Raises `Refusal`: what the work raised, ``failed`` for any other error of it, ``unknown-job`` for one that is
        not, or is another's, ``busy`` when too many wait for it already.
        """
        job = self._find(id, owner)
        if not job.settled.done():
            await _patience(job, patience)
        if not job.settled.done():
            return None
        if job.cancelled:
            raise _unknown()
        job.read = True
        if isinstance(job.outcome, Refusal):
            raise _copy(job.outcome)
        return job.outcome

    def cancel(self, id: str, owner: str) -> None:
        """End and forget a job. Raises `Refusal` (``unknown-job``)."""
        job = self._find(id, owner)
        if job.task is None:
            job.read = True  # its owner wants it no more
            self._forget(job)
        else:
            self._cancel(job, job.task)

    async def stop(self) -> None:
        """Forget all results and cancel all that runs; returns when none is left, or none that obeys."""
        self._stopped = True
        for job in [job for job in self._jobs.values() if job.task is None]:
            self._forget(job)
        for _ in range(STOP_ROUNDS):
            tasks = [job.task for job in self._jobs.values() if job.task is not None]
            if not tasks:
                return
            for job in list(self._jobs.values()):
                if job.task is not None:
                    self._cancel(job, job.task)
            await asyncio.wait(tasks, timeout=1.0)
        if self._jobs:
            _log.error("%d jobs go on after they were cancelled: their handlers swallow it", len(self._jobs))

    def _find(self, id: str, owner: str) -> _Job[T]:
        job = self._jobs.get(id)
        if job is None or job.owner != owner or job.cancelled:
            raise _unknown()
        return job

    def _cancel(self, job: _Job[T], task: asyncio.Task[T]) -> None:
        job.cancelled = True
        job.settle()
        task.cancel()

    def _end(self, job: _Job[T], task: asyncio.Task[T]) -> None:
        """Keep the outcome and let go of the task, whose error would keep all that its handler held."""
        job.task = None
        outcome = _outcome(task)
        if job.cancelled:
            self.endings["cancelled"] += 1
            del self._jobs[job.id]
            return
        if not isinstance(outcome, Refusal):
            job.size = self._size(outcome)
            if job.size > self._max_bytes:
                job.size, outcome = 0, Refusal(Code.FAILED, "the result is too large to be kept")
        self.endings[outcome.code.value if isinstance(outcome, Refusal) else "answered"] += 1
        job.outcome = outcome
        job.expiry = asyncio.get_running_loop().call_later(self._limits.job_ttl, self._forget, job)
        self.bytes += job.size
        job.settle()
        self._shrink()

    def _forget(self, job: _Job[T]) -> None:
        """Those who have it already may still read it."""
        if job.expiry is not None:
            job.expiry.cancel()
        self.unread += not job.read
        self.bytes -= job.size
        del self._jobs[job.id]

    def _make_room(self, jobs: Iterable[_Job[T]], most: int) -> None:
        jobs = list(jobs)
        if len(jobs) < most:
            return
        for job in jobs:
            if job.task is None and job.read:
                self._forget(job)
                return
        raise Refusal(Code.BUSY, "too many long jobs", retry_after=5.0)

    def _shrink(self) -> None:
        while self.bytes > self._max_bytes:
            held: Counter[str] = Counter()
            for job in self._jobs.values():
                held[job.owner] += job.size
            owner = max(held, key=held.__getitem__)
            kept = [job for job in self._jobs.values() if job.owner == owner and job.size]
            self._forget(next((job for job in kept if job.read), kept[0]))


async def _patience(job: _Job[Any], patience: float) -> None:
    """Wait for a job; to stop waiting does nothing to it."""
    if job.polls >= MAX_POLLS:
        raise Refusal(Code.BUSY, "too many polls wait for this job", retry_after=1.0)
    job.polls += 1
    try:
        await asyncio.wait({job.settled}, timeout=patience)
    finally:
        job.polls -= 1


def _outcome(task: asyncio.Task[T]) -> T | Refusal:
    if task.cancelled():
        return Refusal(Code.FAILED, "the job was cut off")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, Refusal):
        return _copy(error)
    _log.error("a long job failed: %s: %s", type(error).__name__, error)
    _log.debug("job failure", exc_info=error)
    return Refusal(Code.FAILED, "the job failed")


def _copy(refusal: Refusal) -> Refusal:
    """Without the traceback, which holds what every function on the way held, and grows with each raise."""
    return Refusal(refusal.code, refusal.detail, refusal.retry_after)


def _unknown() -> Refusal:
    """One answer to all who may not know whether there is such a job."""
    return Refusal(Code.UNKNOWN_JOB, "no such job of this caller")
