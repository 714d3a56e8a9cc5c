"""One thread for each served model: requests wait in a bounded queue, alike ones run together.

Most kinds of work run as a batch that begins and ends as one. A *flow* goes on instead: it asks for newcomers between
its steps, of each kind that it runs, and settles each job when that is done.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

GATHER: Final = 0.015
"""Seconds that a first request waits for others to join its batch."""


class Full(Exception):
    """The queue is full; try again."""


class Stopped(Exception):
    """The worker has stopped."""


@dataclass(slots=True)
class Job:
    """One request. Jobs with equal ``batch`` keys may run together; ``cancelled`` is read between tokens."""

    batch: str
    item: Any
    done: asyncio.Future[Any]
    on_piece: Callable[[str], None] | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


Run = Callable[[str, Sequence[Job]], Sequence[Any]]
More = Callable[[str, int], list[Job]]
"""Jobs of a kind that have come for a flow, up to so many; never waits."""
Settle = Callable[[Job, Any], None]
"""The end of one of its jobs: a result, or an exception to be raised."""
Flow = Callable[[Sequence[Job], More, Settle], None]


class Worker:
    """Owns a model, in a thread of its own.

    ``run(batch key, jobs)`` returns for each job a result, or an exception to be raised; keys in ``flows`` are run by
    those instead, and all keys of such a worker are.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        *,
        flows: Mapping[str, Flow] | None = None,
        max_batch: int = 16,
        max_queue: int = 128,
    ) -> None:
        self.name = name
        self._flows = dict(flows or {})
        self._run, self._max_batch, self._max_queue = run, max_batch, max_queue
        self._jobs: deque[Job] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name=f"engine-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return len(self._jobs)

    async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
        """Queue a job and wait for its result; raises `Full`, `Stopped`, or what the model raised."""
        loop = asyncio.get_running_loop()
        job = Job(batch, item, loop.create_future(), on_piece)
        with self._wake:
            if self._stopping:
                raise Stopped
            if len(self._jobs) >= self._max_queue:
                raise Full
            self._jobs.append(job)
            self._wake.notify()
        try:
            return await job.done
        finally:
            job.cancelled.set()

    async def stop(self) -> None:
        """Finish the running batch, fail what waits."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _loop(self) -> None:
        while (jobs := self._take()) is not None:
            flow = self._flows.get(jobs[0].batch)
            if flow is None:
                self._run_batch(jobs)
            else:
                self._run_flow(flow, jobs)
        for job in self._jobs:
            _settle(job, _fail, Stopped())

    def _run_batch(self, jobs: Sequence[Job]) -> None:
        try:
            results = self._run(jobs[0].batch, jobs)
        except Exception as error:  # noqa: BLE001  whatever a model raises belongs to the waiting callers
            for job in jobs:
                _settle(job, _fail, error)
        else:
            for job, result in zip(jobs, results, strict=True):
                _settle(job, _fail if isinstance(result, Exception) else _finish, result)

    def _run_flow(self, flow: Flow, jobs: Sequence[Job]) -> None:
        running = list(jobs)

        def more(batch: str, room: int) -> list[Job]:
            found = self._joining(batch, room)
            running.extend(found)
            return found

        def settle(job: Job, result: Any) -> None:
            running.remove(job)
            _settle(job, _fail if isinstance(result, Exception) else _finish, result)

        try:
            flow(jobs, more, settle)
        except Exception as error:  # noqa: BLE001  as above
            for job in running:
                _settle(job, _fail, error)

    def _joining(self, batch: str, room: int) -> list[Job]:
        """Jobs of that kind for a running flow; others keep their order."""
        with self._wake:
            if self._stopping:
                return []
            taken, rest = list[Job](), deque[Job]()
            for job in self._jobs:
                (taken if job.batch == batch and len(taken) < room else rest).append(job)
            self._jobs = rest
        return [job for job in taken if not job.cancelled.is_set()]

    def _next(self, room: int) -> list[Job]:
        """The first job, and up to ``room`` like it; under the lock."""
        first, rest = self._jobs.popleft(), deque[Job]()
        taken = [first]
        while self._jobs:
            job = self._jobs.popleft()
            fits = job.batch == first.batch and len(taken) < min(room, self._max_batch)
            (taken if fits else rest).append(job)
        self._jobs = rest
        return taken

    def _take(self) -> list[Job] | None:
        """The next batch; None at the end."""
        with self._wake:
            while not self._jobs and not self._stopping:
                self._wake.wait()
            if self._stopping:
                return None
            end = time.monotonic() + GATHER
            while len(self._jobs) < self._max_batch and (left := end - time.monotonic()) > 0:
                self._wake.wait(left)
            taken = self._next(self._max_batch)
        return [job for job in taken if not job.cancelled.is_set()] or self._take()


def _settle(job: Job, how: Callable[[Job, Any], None], value: Any) -> None:
    """From the worker's thread into the loop that waits."""
    job.done.get_loop().call_soon_threadsafe(how, job, value)


def _finish(job: Job, result: Any) -> None:
    if not job.done.done():
        job.done.set_result(result)


def _fail(job: Job, error: Exception) -> None:
    if not job.done.done():
        job.done.set_exception(error)
