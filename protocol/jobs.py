"""Long jobs of an axon: started by one request, asked for by later ones, bounded in number and in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.limits import Limits

T = TypeVar("T")


@dataclass(slots=True)
class _Job(Generic[T]):
    owner: str
    task: asyncio.Task[T]
    ended: float | None = None
    """Loop time."""


class JobTable(Generic[T]):
    """Jobs by id, each known to its owner only. A result may be read again until ``job_ttl`` seconds after its end."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jobs: dict[str, _Job[T]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def running(self) -> int:
        """Jobs that have not ended."""
        return sum(job.ended is None for job in self._jobs.values())

    def start(self, id: str, owner: str, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Begin; raises `Refusal` (``busy``) where the table, or the owner's part of it, is full."""
        self._expire()
        owned = Counter(job.owner for job in self._jobs.values())[owner]
        if len(self._jobs) >= self._limits.max_jobs or owned >= self._limits.max_jobs_per_caller:
            raise Refusal(Code.BUSY, "too many long jobs", retry_after=5.0)
        task = asyncio.get_running_loop().create_task(work(), name=f"job {id[:8]}")
        job = self._jobs[id] = _Job(owner, task)
        task.add_done_callback(lambda _: self._end(job))

    async def wait(self, id: str, owner: str, patience: float) -> T | None:
        """The result within ``patience`` seconds; None while it runs.

        Raises `Refusal`: what the work raised, or ``unknown-job`` for one that is not, or is another's.
        """
        job = self._find(id, owner)
        await asyncio.wait({job.task}, timeout=patience)
        if not job.task.done():
            return None
        if job.task.cancelled():
            raise Refusal(Code.UNKNOWN_JOB, "no such job of this caller")
        return job.task.result()

    def cancel(self, id: str, owner: str) -> None:
        """End and forget a job. Raises `Refusal` (``unknown-job``)."""
        self._find(id, owner).task.cancel()
        del self._jobs[id]

    async def stop(self) -> None:
        """Cancel all; returns when none is left."""
        tasks, self._jobs = [job.task for job in self._jobs.values()], {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _find(self, id: str, owner: str) -> _Job[T]:
        self._expire()
        job = self._jobs.get(id)
        if job is None or job.owner != owner:
            raise Refusal(Code.UNKNOWN_JOB, "no such job of this caller")
        return job

    def _end(self, job: _Job[T]) -> None:
        job.ended = asyncio.get_running_loop().time()
        if not job.task.cancelled():
            job.task.exception()  # looked at, so that nobody is told it was not

    def _expire(self) -> None:
        oldest = asyncio.get_running_loop().time() - self._limits.job_ttl
        gone = [id for id, job in self._jobs.items() if job.ended is not None and job.ended < oldest]
        for id in gone:
            del self._jobs[id]
