"""Long jobs: whatever is begun, asked for, cancelled and left to expire, against a model of the table."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ranvier.protocol import Code, Refusal
from ranvier.protocol.jobs import JobTable

sys.path.insert(0, str(Path(__file__).parent / "plugins"))

from job_work import LIMITS, OWNERS, Work, code_of, settle, virtual


@dataclass
class Known:
    """What the test knows of one job. ``ended`` is loop time."""

    id: str
    owner: str
    work: Work
    outcome: str | Code | None = None
    ended: float = 0.0
    read: bool = False
    cancelled: bool = False
    displaced: bool = False
    """It may have made room for another."""

    @property
    def running(self) -> bool:
        return self.outcome is None and not self.cancelled

    @property
    def holds_a_place(self) -> bool:
        return self.work.alive or not (self.cancelled or self.displaced)


class Jobs(RuleBasedStateMachine):
    """The table against a model of it: every answer is the one that the owner, and only the owner, has a right to."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.world = contextlib.ExitStack()
        self.loop = self.world.enter_context(virtual())
        self.table: JobTable[str] = JobTable(LIMITS, size=len)
        self.known: list[Known] = []

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def expired(self, job: Known) -> bool:
        return job.outcome is not None and self.loop.time() >= job.ended + LIMITS.job_ttl

    def held(self, owner: str | None = None) -> list[Known]:
        return [
            job
            for job in self.known
            if job.holds_a_place and not self.expired(job) and owner in (None, job.owner)
        ]

    @rule(target=jobs, owner=st.sampled_from(OWNERS), stubborn=st.sampled_from([0, 0, 0, 1, 2]))
    def start(self, owner: str, stubborn: int) -> Known:
        async def start() -> Known:
            work = Work(stubborn)
            job = Known(f"{len(self.known):064x}", owner, work)
            full_of_own = len(self.held(owner)) >= LIMITS.max_jobs_per_caller
            full = len(self.held()) >= LIMITS.max_jobs
            leaving = [
                other
                for other in self.held(owner if full_of_own else None)
                if other.read and other.outcome is not None
            ]
            try:
                self.table.start(job.id, owner, work)
            except Refusal as refusal:
                assert refusal.code is Code.BUSY
                assert refusal.retry_after is not None
                assert (full_of_own or full) and not leaving
                job.cancelled = True
            else:
                assert not (full_of_own or full) or leaving
                if full_of_own or full:
                    for other in leaving:
                        other.displaced = not self.there(other)
            await settle()
            return job

        job: Known = self.run(start())
        self.known.append(job)
        return job

    def there(self, job: Known) -> bool:
        """Looked at without a trace: nobody but a caller may mark a result as read."""
        try:
            self.table._find(job.id, job.owner)
        except Refusal:
            return False
        return True

    @rule(
        job=jobs,
        how=st.sampled_from(["value", "declined", "fault", "cut"]),
        waited_for=st.booleans(),
    )
    def end(self, job: Known, how: str, waited_for: bool) -> None:
        if not job.running:
            return

        async def end() -> None:
            poll = asyncio.ensure_future(self.table.wait(job.id, job.owner, 50.0)) if waited_for else None
            await settle()
            if how == "value":
                job.work.end.set_result(job.id)
            elif how == "cut":
                job.work.end.cancel()
            else:
                error = Refusal(Code.DECLINED, "no") if how == "declined" else ValueError("broken")
                job.work.end.set_exception(error)
            await settle()
            job.ended = self.loop.time()
            job.outcome = job.id if how == "value" else Code.DECLINED if how == "declined" else Code.FAILED
            if poll is not None:
                job.read = True
                await self.agrees(poll, job)

        self.run(end())

    async def agrees(self, poll: Any, job: Known) -> None:
        if isinstance(job.outcome, Code):
            assert await code_of(poll) is job.outcome
        else:
            assert await poll == job.outcome

    @rule(job=jobs, owner=st.sampled_from(OWNERS), patience=st.sampled_from([0.0, 0.5, 40.0, 120.0]))
    def poll(self, job: Known, owner: str, patience: float) -> None:
        began = self.loop.time()
        expired = self.expired(job)
        asking = self.table.wait(job.id, owner, patience)
        if owner != job.owner or job.cancelled or job.displaced or expired:
            assert self.run(code_of(asking)) is Code.UNKNOWN_JOB
        elif job.running:
            assert self.run(asking) is None
            assert self.loop.time() == began + patience
        else:
            job.read = True
            self.run(self.agrees(asking, job))
        assert self.loop.time() <= began + patience

    @rule(job=jobs)
    def a_poll_that_is_cancelled_leaves_the_job(self, job: Known) -> None:
        if not job.running:
            return

        async def leave() -> None:
            poll = asyncio.ensure_future(self.table.wait(job.id, job.owner, 50.0))
            await settle()
            poll.cancel()
            await asyncio.wait({poll})
            assert poll.cancelled()

        self.run(leave())
        assert job.work.alive

    @rule(job=jobs, owner=st.sampled_from(OWNERS), waited_for=st.booleans())
    def cancel(self, job: Known, owner: str, waited_for: bool) -> None:
        async def cancel() -> None:
            unknown = owner != job.owner or job.cancelled or job.displaced or self.expired(job)
            alive = job.work.alive
            poll = None
            if waited_for and job.running:
                poll = asyncio.ensure_future(self.table.wait(job.id, job.owner, 50.0))
                await settle()
            if unknown:
                with pytest.raises(Refusal) as caught:
                    self.table.cancel(job.id, owner)
                assert str(caught.value) == "unknown-job: no such job of this caller"
                if poll is not None:
                    assert await poll is None
                assert job.work.alive == alive
                return
            self.table.cancel(job.id, owner)
            job.cancelled = True
            if poll is not None:
                began = self.loop.time()
                assert await code_of(poll) is Code.UNKNOWN_JOB
                assert self.loop.time() == began
            await settle()

        self.run(cancel())

    @rule(job=jobs)
    def let_a_stubborn_one_end(self, job: Known) -> None:
        async def end() -> None:
            if job.cancelled and job.work.alive and not job.work.end.done():
                job.work.end.set_result("too late")
            await settle()

        self.run(end())

    @rule(seconds=st.sampled_from([0.0, 1.0, 60.0, 150.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(job=consumes(jobs), owner=st.sampled_from(OWNERS))
    def an_id_is_taken_once(self, job: Known, owner: str) -> None:
        async def again() -> None:
            def never() -> Coroutine[Any, Any, str]:
                raise AssertionError("begun twice")

            if self.there(job):
                with pytest.raises(Refusal) as caught:
                    self.table.start(job.id, owner, never)
                assert caught.value.code is Code.REPLAYED

        self.run(again())

    @invariant()
    def bounds_hold(self) -> None:
        self.run(settle())
        held = self.held()
        assert len(self.table) == len(held) <= LIMITS.max_jobs
        owned = Counter(job.owner for job in held)
        assert all(number <= LIMITS.max_jobs_per_caller for number in owned.values())
        assert self.table.running == sum(job.work.alive for job in self.known)
        assert len(asyncio.all_tasks(self.loop)) == self.table.running
        kept = [job for job in held if isinstance(job.outcome, str) and not isinstance(job.outcome, Code)]
        assert self.table.bytes == sum(64 for _ in kept)

    def teardown(self) -> None:
        self.run(self.table.stop())
        assert len(self.table) == self.table.running == self.table.bytes == 0
        assert self.run(code_of(refused_start(self.table))) is Code.DRAINING
        self.world.close()


async def refused_start(table: JobTable[str]) -> None:
    table.start("f" * 64, "Alice", Work())


Jobs.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestJobs = Jobs.TestCase
