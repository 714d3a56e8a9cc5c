"""Time that passes only while everybody waits, a wire without sockets, and whose work costs what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ranvier.testing.loop import SimulatedLoop
from ranvier.testing.meter import METER, Meter, Metered
from ranvier.testing.wire import HIGH

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[False, True], ids=["wire", "sockets"])
def run(request: pytest.FixtureRequest) -> Run:
    def run(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=lambda: SimulatedLoop(sockets=request.param)) as runner:
            return runner.run(work)

    return run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_sleeps_end_in_their_order_and_cost_nothing(run: Run) -> None:
    async def work() -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append((name, round(now(), 6)))

        await asyncio.gather(sleeper("late", 3600), sleeper("early", 0.5), sleeper("middle", 60))
        return seen

    assert run(work()) == [("early", 0.5), ("middle", 60.0), ("late", 3600.0)]


def test_deadlines_pass_only_where_everybody_waits(run: Run) -> None:
    async def work() -> None:
        async with asyncio.timeout(0.001):
            end = time.perf_counter() + 0.01
            while time.perf_counter() < end:
                await asyncio.sleep(0)
            assert await asyncio.to_thread(lambda: time.sleep(0.005) or 7) == 7
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.get_running_loop().create_future()
        assert now() == pytest.approx(5)

    run(work())


def test_a_job_that_raises_raises_where_it_is_awaited(run: Run) -> None:
    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)

    run(work())


def test_while_somebody_outside_works_time_stands_still(run: Run) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        with loop.outside():
            process = await asyncio.create_subprocess_exec("sleep", "0.2")
            async with asyncio.timeout(0.1):
                await process.wait()
        assert now() == 0

    run(work())


async def served(handler: Any) -> tuple[web.AppRunner, str]:
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, "http://127.0.0.1:{1}/".format(*runner.addresses[0])


def test_http_works_both_ways_with_bodies_larger_than_any_buffer(run: Run) -> None:
    body = bytes(range(256)) * (HIGH // 16)

    async def work() -> None:
        async def echo(request: web.Request) -> web.Response:
            return web.Response(body=await request.read())

        runner, url = await served(echo)
        async with aiohttp.ClientSession() as session:
            for size in (0, 1, HIGH + 1, len(body)):
                async with session.post(url, data=body[:size]) as response:
                    assert await response.read() == body[:size]
            replies = await asyncio.gather(*(session.post(url, data=b"%d" % number) for number in range(20)))
            assert [await reply.read() for reply in replies] == [b"%d" % number for number in range(20)]
        await runner.cleanup()

    run(work())


def test_a_slow_reader_stops_its_writer(run: Run) -> None:
    async def work() -> None:
        sent = 0

        async def flood(request: web.Request) -> web.StreamResponse:
            nonlocal sent
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(2000):
                await response.write(b"x" * 10_000)
                sent += 10_000
            return response

        runner, url = await served(flood)
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            await asyncio.sleep(5)
            held = sent
            assert held < 20_000_000
            assert len(await response.read()) == 20_000_000
        assert sent == 20_000_000
        await runner.cleanup()

    run(work())


def test_who_hangs_up_is_noticed_and_who_left_is_refused(run: Run) -> None:
    async def work() -> None:
        cancelled = asyncio.Event()

        async def hang(request: web.Request) -> web.Response:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                cancelled.set()
            raise AssertionError

        app = web.Application()
        app.router.add_get("/", hang)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = "http://127.0.0.1:{1}/".format(*runner.addresses[0])
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await session.get(url)
            async with asyncio.timeout(1):
                await cancelled.wait()
            await runner.cleanup()
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(url)

    run(work())


def test_one_address_is_listened_on_once(run: Run) -> None:
    async def work() -> None:
        async def nothing(_: web.Request) -> web.Response:
            return web.Response()

        runner, _ = await served(nothing)
        with pytest.raises(OSError, match="in use"):
            await web.TCPSite(runner, *runner.addresses[0]).start()
        await runner.cleanup()

    run(work())


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_steps_threads_and_tasks_are_charged_and_waiting_is_not(run: Run) -> None:
    meter = Meter()

    async def child() -> None:
        await asyncio.sleep(1)
        burn(0.02)

    async def parent() -> str:
        burn(0.02)
        await asyncio.gather(child(), asyncio.to_thread(burn, 0.02))
        return "done"

    async def neighbour() -> None:
        await asyncio.sleep(0.5)
        burn(0.2)

    async def work() -> None:
        beside = asyncio.create_task(neighbour())
        token = METER.set(meter)
        assert await Metered(parent(), meter) == "done"
        METER.reset(token)
        await beside

    run(work())
    assert 0.06 <= meter.seconds < 0.15


def test_a_caller_does_not_pay_for_the_called(run: Run) -> None:
    caller = Meter()

    async def work() -> None:
        async def busy(_: web.Request) -> web.Response:
            assert METER.get() is None
            burn(0.1)
            return web.Response()

        runner, url = await served(busy)

        async def call() -> None:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                await response.read()

        token = METER.set(caller)
        await Metered(call(), caller)
        METER.reset(token)
        await runner.cleanup()

    run(work())
    assert caller.seconds < 0.1


def test_a_metered_coroutine_is_cancelled_and_raises_like_any(run: Run) -> None:
    seen = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            seen.append("ended")

    async def failing() -> None:
        raise LookupError("gone")

    async def work() -> None:
        task = asyncio.create_task(Metered(stubborn(), Meter()))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(LookupError, match="gone"):
            await Metered(failing(), Meter())
        Metered(stubborn(), Meter()).close()

    run(work())
    assert seen == ["ended"]
