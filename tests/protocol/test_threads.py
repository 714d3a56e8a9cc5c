"""Blocking calls in threads: bounded, abandoned when nobody waits, reclaimed when they end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import sqlite3
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from ranvier.protocol import Code, HandlerUnfit, Refusal, wanted
from ranvier.protocol.threads import Workers
from ranvier.testing.loop import SimulatedLoop

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who")


class Stuck:
    """A blocking call that returns when it is let go. Counts itself."""

    def __init__(self) -> None:
        self.go, self._lock = threading.Event(), threading.Lock()
        self.begun = self.now = self.most = 0
        self.threads: set[int] = set()

    def __call__(self) -> str:
        with self._lock:
            self.begun += 1
            self.now += 1
            self.most = max(self.most, self.now)
            self.threads.add(threading.get_ident())
        self.go.wait()
        with self._lock:
            self.now -= 1
        return "done"


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.001)


@asynccontextmanager
async def working(size: int) -> AsyncIterator[Workers]:
    """Closed afterwards; all threads must have ended."""
    before = threading.active_count()
    workers = Workers(size)
    try:
        yield workers
    finally:
        workers.close()
    await until(lambda: threading.active_count() <= before)
    assert (workers.threads, workers.running, workers.waiting, workers.abandoned) == (0, 0, 0, 0)


def simulated(play: Coroutine[Any, Any, None]) -> None:
    """On a loop where threads' work is done at once, so that what happens in one turn of it is known."""
    loop = SimulatedLoop()
    try:
        loop.run_until_complete(play)
    finally:
        loop.close()


async def abandon(workers: Workers, work: Callable[[], object], number: int) -> None:
    """Begin as many, and leave them."""
    before = workers.abandoned
    tasks = [asyncio.ensure_future(workers.run(work)) for _ in range(number)]
    await until(lambda: workers.running - workers.abandoned >= number)
    await asyncio.sleep(0.01)  # begun, not only handed over
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert workers.abandoned == before + number


async def refused(workers: Workers) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await workers.run(list)
    return caught.value


async def test_the_loop_goes_on_while_all_threads_block() -> None:
    stuck = Stuck()
    async with working(4) as workers:
        calls = [asyncio.ensure_future(workers.run(stuck)) for _ in range(8)]
        await until(lambda: stuck.begun == 4)
        for _ in range(1000):  # would never end on a loop that one of them held
            await asyncio.sleep(0)
        assert (workers.threads, workers.running, workers.waiting, workers.abandoned) == (4, 4, 4, 0)
        assert not any(call.done() for call in calls)
        stuck.go.set()
        assert await asyncio.gather(*calls) == ["done"] * 8
        assert stuck.most == len(stuck.threads) == 4
        assert threading.get_ident() not in stuck.threads
        assert workers.running == 0


async def test_threads_begin_when_they_are_needed() -> None:
    async with working(8) as workers:
        for _ in range(20):
            assert await workers.run(threading.get_ident) != threading.get_ident()
        assert workers.threads == 1


async def test_what_waits_goes_in_order_and_may_leave() -> None:
    stuck, order = Stuck(), list[int]()
    async with working(1) as workers:
        first = asyncio.ensure_future(workers.run(stuck))
        await until(lambda: stuck.begun == 1)
        waiting = asyncio.ensure_future(workers.run(lambda: order.append(1)))
        await asyncio.sleep(0)
        assert (await refused(workers)).code is Code.BUSY
        waiting.cancel()
        await asyncio.wait({waiting})
        assert workers.waiting == workers.abandoned == 0
        second = asyncio.ensure_future(workers.run(lambda: order.append(2)))
        await asyncio.sleep(0)
        stuck.go.set()
        await asyncio.gather(first, second)
        assert order == [2]


async def test_a_turn_that_comes_as_its_caller_leaves_goes_to_the_next() -> None:
    stuck = Stuck()
    async with working(1) as workers:

        async def hold() -> None:
            await workers.run(stuck)
            leaving.cancel()  # the turn is given, but its task has not yet run

        holding = asyncio.ensure_future(hold())
        await until(lambda: stuck.begun == 1)
        leaving = asyncio.ensure_future(workers.run(list))
        await asyncio.sleep(0)
        stuck.go.set()
        await asyncio.wait({holding, leaving})
        assert leaving.cancelled()
        assert await workers.run(lambda: "free") == "free"
        assert workers.running == workers.waiting == 0


def test_a_caller_that_has_left_gets_no_turn() -> None:
    async def play() -> None:
        WHO.set("the caller")
        workers = Workers(1)
        stream = workers.stream(Items())
        assert await anext(stream) == 1
        leaving = asyncio.ensure_future(workers.run(list))
        await asyncio.sleep(0)
        leaving.cancel()  # its task has not yet run
        await stream.aclose()
        await asyncio.wait({leaving})
        assert await workers.run(lambda: "free") == "free"
        workers.close()

    simulated(play())


async def test_abandoned_calls_keep_their_threads_and_give_them_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stuck = Stuck()
    async with working(3) as workers:
        await abandon(workers, stuck, 2)
        assert await workers.run(lambda: "beside") == "beside"
        assert "nobody waits" not in caplog.text
        await abandon(workers, stuck, 1)
        assert "all 3 threads run handlers that nobody waits for" in caplog.text
        refusal = await refused(workers)
        assert refusal.code is Code.BUSY
        assert refusal.retry_after is not None
        assert (workers.threads, workers.running) == (3, 3)
        stuck.go.set()
        await until(lambda: workers.abandoned == 0)
        assert workers.running == 0
        assert await workers.run(lambda: "again") == "again"
        assert workers.threads == 3


async def test_a_call_that_is_left_before_its_thread_takes_it_never_runs() -> None:
    ran = list[int]()
    async with working(1) as workers:
        await workers.run(list)  # now there is a thread, and it waits
        interval = sys.getswitchinterval()
        sys.setswitchinterval(100.0)  # seconds in which that thread gets no turn
        try:
            call = workers.run(lambda: ran.append(1))
            call.send(None)
            with pytest.raises(asyncio.CancelledError):
                call.throw(asyncio.CancelledError())
        finally:
            sys.setswitchinterval(interval)
        assert workers.abandoned == workers.running == 0
        await workers.run(list)
        assert not ran


async def test_fewer_wait_where_threads_are_abandoned() -> None:
    """Who waits behind stuck threads waits long: rather be told."""
    stuck = Stuck()
    async with working(3) as workers:
        await abandon(workers, stuck, 2)
        held = asyncio.ensure_future(workers.run(stuck))
        waiting = asyncio.ensure_future(workers.run(list))
        await until(lambda: workers.waiting == 1)
        assert (await refused(workers)).code is Code.BUSY
        stuck.go.set()
        assert await held == "done"
        assert await waiting == []


async def test_a_handler_can_ask_whether_it_is_wanted() -> None:
    seen, go = list[bool](), threading.Event()

    def patient() -> None:
        seen.append(wanted())
        go.set()
        while wanted():
            threading.Event().wait(0.001)
        seen.append(wanted())

    assert wanted()
    async with working(1) as workers:
        task = asyncio.ensure_future(workers.run(patient))
        await until(go.is_set)
        task.cancel()
        await until(lambda: workers.running == 0)
        assert seen == [True, False]


async def test_errors_and_context_come_through() -> None:
    def fail() -> None:
        raise LookupError(WHO.get())

    async with working(2) as workers:
        WHO.set("the caller")
        with pytest.raises(LookupError, match="the caller"):
            await workers.run(fail)
        await workers.run(lambda: WHO.set("a handler"))
        assert WHO.get() == "the caller"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
async def test_what_would_end_the_loop_is_only_a_fault(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    def items() -> Generator[int]:
        yield 1
        raise error

    async with working(1) as workers:
        with pytest.raises(HandlerUnfit, match=error.__name__):
            await workers.run(fail)
        with pytest.raises(HandlerUnfit, match=error.__name__):
            _ = [item async for item in workers.stream(items)]
        assert await workers.run(lambda: "alive") == "alive"


async def test_stop_iteration_is_an_error_as_any_other() -> None:
    """A future cannot hold it, so a call that raised it would never be answered."""
    async with working(1) as workers:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await workers.run(lambda: next(iter(())))


async def test_an_abandoned_fault_is_told_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()

    def fail() -> None:
        go.wait()
        raise LookupError("too late")

    caplog.set_level(logging.DEBUG)
    async with working(1) as workers:
        await abandon(workers, fail, 1)
        go.set()
        await until(lambda: workers.abandoned == 0)
        assert "too late" in caplog.text


async def test_an_idle_thread_holds_nothing() -> None:
    class Held:
        pass

    def hold(held: Held) -> Held:
        return held

    async with working(1) as workers:
        held = Held()
        watch = weakref.ref(held)
        assert await workers.run(lambda held=held: hold(held)) is held  # type: ignore[misc]
        del held
        gc.collect()
        await until(lambda: watch() is None)


async def test_a_generator_lives_in_one_thread() -> None:
    """A database connection, for one, cannot be used from another than its own."""

    def rows() -> Iterator[tuple[int, str]]:
        connection = sqlite3.connect(":memory:")
        try:
            yield from connection.execute("VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        finally:
            connection.close()

    async with working(4) as workers:
        assert [row async for row in workers.stream(rows)] == [(1, "a"), (2, "b"), (3, "c")]
        streams = [workers.stream(rows) for _ in range(4)]
        for expected in ((1, "a"), (2, "b")):
            assert [await anext(stream) for stream in streams] == [expected] * 4
        assert workers.running == 4
        for stream in streams:
            await stream.aclose()
        await until(lambda: workers.running == 0)


class Items:
    """A generator that says what became of it."""

    def __init__(self) -> None:
        self.made, self.closed_in, self.context = 0, "", list[str]()
        self.go, self.blocks = threading.Event(), False

    def __call__(self) -> Generator[int]:
        try:
            while True:
                self.made += 1
                self.context.append(WHO.get())
                if self.blocks:
                    self.go.wait()
                yield self.made
        finally:
            self.closed_in = threading.current_thread().name


async def test_a_reader_that_leaves_closes_the_generator_in_its_thread() -> None:
    WHO.set("the caller")
    items = Items()
    async with working(1) as workers, aclosing(workers.stream(items)) as stream:
        assert [await anext(stream), await anext(stream)] == [1, 2]
        assert items.made == 2  # nothing is made that nobody asked for
        await stream.aclose()
        await until(lambda: workers.running == 0)
        assert items.closed_in == "ranvier-handler"
        assert items.context == ["the caller"] * 2


async def test_a_reader_that_leaves_within_a_step_abandons_it() -> None:
    WHO.set("the caller")
    items = Items()
    items.blocks = True
    async with working(1) as workers:
        stream = workers.stream(items)
        reading = asyncio.ensure_future(anext(stream))
        await until(lambda: items.made == 1)
        reading.cancel()
        await asyncio.wait({reading})
        assert workers.abandoned == 1
        assert not items.closed_in
        items.go.set()
        await until(lambda: workers.abandoned == 0)
        assert items.closed_in
        assert items.made == 1


async def test_streams_that_are_left_early_are_not_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    """An axon leaves every stream with its reply: the next one must find the thread."""
    WHO.set("the caller")
    async with working(1) as workers:
        for _ in range(50):
            async with aclosing(workers.stream(Items())) as stream:
                assert await anext(stream) == 1
            assert workers.abandoned == 0
    assert not caplog.records


async def test_close_refuses_who_waits_and_who_comes() -> None:
    stuck = Stuck()
    async with working(1) as workers:
        held = asyncio.ensure_future(workers.run(stuck))
        await until(lambda: stuck.begun == 1)
        waiting = asyncio.ensure_future(workers.run(list))
        await asyncio.sleep(0)
        workers.close()
        with pytest.raises(Refusal, match="draining"):
            await waiting
        assert (await refused(workers)).code is Code.DRAINING
        stuck.go.set()
        assert await held == "done"


async def test_a_stream_goes_on_after_close_until_its_end() -> None:
    async with working(1) as workers, aclosing(workers.stream(lambda: (i for i in range(3)))) as stream:
        assert await anext(stream) == 0
        workers.close()
        assert [item async for item in stream] == [1, 2]


def test_a_thread_that_outlives_its_loop_ends_with_its_call() -> None:
    stuck, before = Stuck(), threading.active_count()

    async def play() -> None:
        await abandon(Workers(1), stuck, 1)

    asyncio.run(play())
    stuck.go.set()
    for thread in threading.enumerate():
        if thread.name == "ranvier-handler":
            thread.join(10.0)
    assert threading.active_count() == before


def test_on_a_loop_in_simulated_time_they_run_at_once() -> None:
    """Else a deadline would pass while a thread works, which costs no simulated time."""

    async def play() -> None:
        workers, before = Workers(2), threading.active_count()
        async with asyncio.timeout(0.001):
            assert await workers.run(lambda: sum(range(100_000))) == 4999950000
            items = Items()
            WHO.set("simulated")
            stream = workers.stream(items)
            assert [await anext(stream) for _ in range(100)] == list(range(1, 101))
            await stream.aclose()
        assert items.closed_in == "MainThread"
        assert (workers.running, workers.abandoned, threading.active_count()) == (0, 0, before)
        workers.close()

    simulated(play())
