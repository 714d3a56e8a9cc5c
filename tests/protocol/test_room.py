"""Room for large replies: never more than its size, first come first served, and the slow make way."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.room import LEAST, PATIENCE, Room
from ranvier.testing.loop import SimulatedLoop


def never() -> None:
    raise AssertionError("nobody was to leave")


@given(sizes=st.lists(st.integers(1, 150), min_size=1, max_size=30), cancelled=st.sets(st.integers(0, 29)))
def test_it_is_never_overfull_and_ends_empty(sizes: list[int], cancelled: set[int]) -> None:
    async def all_of_them() -> None:
        room, held, most = Room(100), 0, 0

        async def one(size: int) -> None:
            nonlocal held, most
            async with room.stay(size, never):
                held += min(size, 100)
                most = max(most, held)
                try:
                    for _ in range(size % 4):
                        await asyncio.sleep(0)
                finally:
                    held -= min(size, 100)

        tasks = [asyncio.ensure_future(one(size)) for size in sizes]
        await asyncio.sleep(0)
        for number, task in enumerate(tasks):
            if number in cancelled:
                task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= 100
        assert room.free == 100
        assert all(
            end is None or (isinstance(end, asyncio.CancelledError) and number in cancelled)
            for number, end in enumerate(ends)
        )

    asyncio.run(all_of_them())


async def test_they_enter_in_order_of_arrival() -> None:
    room, order = Room(100), []

    async def one(name: str, size: int) -> None:
        async with room.stay(size, never):
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(one("first", 60), one("large", 90), one("small", 10))
    assert order == ["first", "large", "small"]


async def test_whoever_sends_too_little_makes_way_and_is_told() -> None:
    room, gone = Room(100), asyncio.Event()

    async def slow() -> None:
        async with room.stay(100, gone.set):
            await gone.wait()
            raise asyncio.IncompleteReadError(b"", 100)

    async def quick() -> str:
        async with room.stay(50, never):
            return "here"

    evicted = asyncio.ensure_future(slow())
    await asyncio.sleep(0)
    assert await quick() == "here"
    with pytest.raises(InvalidReply, match="too slowly while others waited"):
        await evicted
    assert room.free == 100


async def test_whoever_sends_enough_stays_and_a_slow_one_that_nobody_waits_for_too() -> None:
    room, done = Room(100), asyncio.Event()

    async def steady() -> str:
        async with room.stay(100, never) as stay:
            while not done.is_set():
                stay.came += LEAST
                await asyncio.sleep(0.05)
            return "stayed"

    stays = asyncio.ensure_future(steady())
    await asyncio.sleep(0)
    waits = asyncio.ensure_future(room.enter(room.stay(50, never)))
    await asyncio.sleep(1.2)
    assert not waits.done()
    done.set()
    assert await stays == "stayed"
    await waits


def test_who_has_just_come_is_not_slow() -> None:
    """Also where the look comes just after."""

    async def run() -> None:
        room, began = Room(100), asyncio.get_running_loop().time()

        async def one(seconds: float) -> float:
            async with room.stay(100, never):
                await asyncio.sleep(seconds)
            return asyncio.get_running_loop().time() - began

        ends = await asyncio.gather(*(one(PATIENCE * 0.9) for _ in range(4)))
        assert ends == pytest.approx([PATIENCE * 0.9 * (place + 1) for place in range(4)])

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(run())
