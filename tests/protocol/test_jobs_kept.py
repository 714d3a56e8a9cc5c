"""What a table of long jobs keeps, for how long, and what it lets go of."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import weakref
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.protocol import Code, Limits, Refusal
from ranvier.protocol.jobs import MAX_POLLS, STOP_ROUNDS, JobTable

sys.path.insert(0, str(Path(__file__).parent / "plugins"))

from job_work import LIMITS, OWNERS, Work, code_of, settle, virtual


async def value(text: str) -> str:
    return text


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(OWNERS), st.integers(0, 12), st.booleans(), st.booleans()), max_size=24
    )
)
def test_bytes_are_bounded(steps: list[tuple[str, int, bool, bool]]) -> None:
    """Whoever keeps most loses first, and of theirs what was read; nobody gets another's bytes."""
    limits = Limits(max_jobs=100, max_jobs_per_caller=100)

    async def play() -> None:
        table = JobTable(limits, size=len, max_bytes=20)
        owners: dict[str, str] = {}
        for number, (owner, size, read, cancel) in enumerate(steps):
            owners[f"{number}"] = owner
            table.start(f"{number}", owner, lambda number=number, size=size: value(f"{number:x}"[-1] * size))  # type: ignore[misc]
            await settle()
            if read:
                with contextlib.suppress(Refusal):
                    await table.wait(f"{number}", owner, 0.0)
            if cancel:
                with contextlib.suppress(Refusal):
                    table.cancel(f"{number}", owner)
            kept = {id: text for id in owners if (text := await peek(table, id, owners[id])) is not None}
            assert table.bytes == sum(map(len, kept.values())) <= 20
            assert all(text == f"{int(id):x}"[-1] * len(text) for id, text in kept.items())
        await table.stop()
        assert table.bytes == len(table) == 0

    with virtual() as loop:
        loop.run_until_complete(play())


async def peek(table: JobTable[str], id: str, owner: str) -> str | None:
    """Without marking it as read."""
    try:
        outcome = table._find(id, owner).outcome
    except Refusal:
        return None
    assert isinstance(outcome, str)
    return outcome


def test_who_keeps_most_loses_what_was_read_first() -> None:
    async def play() -> None:
        table = JobTable(LIMITS, size=len, max_bytes=100)
        for id, owner, size in (("1", "Alice", 30), ("2", "Alice", 30), ("3", "Bob", 20)):
            table.start(id, owner, lambda size=size: value("x" * size))  # type: ignore[misc]
            await settle()
        await table.wait("2", "Alice", 0.0)
        await table.wait("3", "Bob", 0.0)
        table.start("4", "Bob", lambda: value("x" * 30))
        await settle()
        assert await code_of(table.wait("2", "Alice", 0.0)) is Code.UNKNOWN_JOB
        assert [await table.wait(id, owner, 0.0) for id, owner in (("1", "Alice"), ("3", "Bob"))]
        assert table.unread == 0
        await table.stop()
        assert table.unread == 1

    with virtual() as loop:
        loop.run_until_complete(play())


def test_a_result_that_is_too_large_says_so() -> None:
    async def play() -> None:
        table = JobTable(LIMITS, size=len, max_bytes=100)
        table.start("1", "Alice", lambda: value("x" * 101))
        with pytest.raises(Refusal, match="failed: the result is too large"):
            await table.wait("1", "Alice", 1.0)
        assert table.endings == {"failed": 1}
        await table.stop()

    with virtual() as loop:
        loop.run_until_complete(play())


def test_an_error_lets_go_of_what_its_handler_held() -> None:
    """It is kept for minutes, and a traceback would keep the request, the model's inputs and the reply with it."""

    class Held:
        pass

    async def play() -> None:
        table: JobTable[str] = JobTable(LIMITS, size=len)
        watch: list[weakref.ref[Held]] = []

        async def work() -> str:
            held = Held()
            watch.append(weakref.ref(held))
            try:
                raise ValueError(held)
            except ValueError as error:
                raise Refusal(Code.DECLINED, "no", retry_after=3.0) from error

        table.start("1", "Alice", work)
        seen = []
        for _ in range(2):
            with pytest.raises(Refusal, match="declined: no") as caught:
                await table.wait("1", "Alice", 1.0)
            seen.append(caught.value)
        assert [refusal.retry_after for refusal in seen] == [3.0, 3.0]
        assert seen[0] is not seen[1]  # a kept one would keep the frames of everybody who read it
        gc.collect()
        assert watch[0]() is None
        await table.stop()

    with virtual() as loop:
        loop.run_until_complete(play())


def test_results_go_in_time_though_nobody_calls() -> None:
    async def play() -> None:
        table = JobTable(LIMITS, size=len)
        table.start("1", "Alice", lambda: value("result"))
        await asyncio.sleep(LIMITS.job_ttl / 2)
        assert table.bytes == 6
        await asyncio.sleep(LIMITS.job_ttl / 2 + 1)
        assert table.bytes == len(table) == 0
        assert table.unread == 1
        table.start("2", "Alice", lambda: value("result"))
        await settle()
        table.cancel("2", "Alice")
        assert table.bytes == len(table) == 0
        assert table.unread == 1  # this one was not lost: its owner did not want it

    with virtual() as loop:
        loop.run_until_complete(play())


def test_polls_of_one_job_are_bounded() -> None:
    async def play() -> None:
        table = JobTable(LIMITS, size=len)
        work = Work()
        table.start("1", "Alice", work)
        polls = [asyncio.ensure_future(table.wait("1", "Alice", 50.0)) for _ in range(MAX_POLLS)]
        await settle()
        assert await code_of(table.wait("1", "Alice", 50.0)) is Code.BUSY
        polls[0].cancel()
        await settle()
        polls[0] = asyncio.ensure_future(table.wait("1", "Alice", 50.0))
        await settle()
        work.end.set_result("done")
        assert await asyncio.gather(*polls) == ["done"] * MAX_POLLS
        await table.stop()

    with virtual() as loop:
        loop.run_until_complete(play())


@pytest.mark.parametrize("begun", [False, True])
def test_cancelled_at_once(begun: bool) -> None:
    async def play() -> None:
        table = JobTable(LIMITS, size=len)
        work = Work()
        table.start("1", "Alice", work)
        if begun:
            await settle()
        table.cancel("1", "Alice")
        await settle()
        assert not work.alive
        assert len(table) == 0
        assert table.endings == {"cancelled": 1}

    with virtual() as loop:
        loop.run_until_complete(play())


def test_a_job_that_does_not_obey_keeps_its_place() -> None:
    """Else starting and cancelling in turn would run any number of them."""

    async def play() -> None:
        table = JobTable(LIMITS, size=len)
        works = [Work(stubborn=100) for _ in range(LIMITS.max_jobs_per_caller)]
        for number, work in enumerate(works):
            table.start(f"{number}", "Alice", work)
        await settle()
        for number in range(len(works)):
            table.cancel(f"{number}", "Alice")
            with pytest.raises(Refusal, match="unknown-job"):  # gone, though it still runs
                table.cancel(f"{number}", "Alice")
        with pytest.raises(Refusal, match="busy"):
            table.start("more", "Alice", Work())
        for work in works:
            work.end.set_result("at last")
        await settle()
        table.start("more", "Alice", Work())
        await table.stop()

    with virtual() as loop:
        loop.run_until_complete(play())


def test_stop_waits_for_those_who_obey_late_and_not_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        table = JobTable(LIMITS, size=len)
        late, never = Work(stubborn=STOP_ROUNDS - 1), Work(stubborn=1000)
        table.start("late", "Alice", late)
        poll = asyncio.ensure_future(table.wait("late", "Alice", 50.0))
        await settle()
        await table.stop()
        assert await code_of(poll) is Code.UNKNOWN_JOB
        assert not late.alive
        table = JobTable(LIMITS, size=len)
        table.start("never", "Alice", never)
        await settle()
        await table.stop()
        assert never.alive
        assert "swallow it" in caplog.text
        never.end.set_result("")
        await settle()

    with virtual() as loop:
        loop.run_until_complete(play())
