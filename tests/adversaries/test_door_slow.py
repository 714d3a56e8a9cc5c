"""Callers that take their time: half a head, half a body, nothing at all, nothing read. In simulated time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
from axon_process import Echo
from hostile_caller import ALICE, BOB, EVE, Sent

from ranvier.protocol import AddressPolicy, Answered, Axon, Caller, Dendrite, Door, Limits, Standing, Target
from ranvier.testing.loop import SimulatedLoop

GONE = 10.0
"""Seconds by the axon's own clock."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Habit = Callable[[asyncio.StreamWriter], Awaitable[None]]


def simulated(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(work)


def now() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def miner(limits: Limits | None = None, hold: float = 0.0) -> AsyncIterator[Axon]:
    async def echo(request: Echo, caller: Caller) -> Echo.Reply:
        await asyncio.sleep(hold)
        return Echo.Reply(text=request.text)

    door = Door()
    door.update({ALICE.ss58_address: Standing(0, 10**12, True)})
    async with Axon(BOB, door=door, limits=limits or Limits()).serve(Echo, echo) as axon:
        yield axon


async def dripped(writer: asyncio.StreamWriter, raw: bytes, first: int) -> None:
    """So many bytes at once, then one each second."""
    writer.write(raw[:first])
    for place in range(first, len(raw) - 1):
        await asyncio.sleep(1.0)
        writer.write(raw[place : place + 1])


async def half_head(writer: asyncio.StreamWriter) -> None:
    await dripped(writer, Sent.signed().raw(), 40)


async def half_body(writer: asyncio.StreamWriter) -> None:
    raw = Sent.signed(body=b'{"text":"%s"}' % (b"x" * 200)).raw()
    await dripped(writer, raw, len(raw) - 100)


async def nothing(writer: asyncio.StreamWriter) -> None:
    return


async def no_end_of_refusals(writer: asyncio.StreamWriter) -> None:
    """Whole requests, one a second: each is refused, and none makes this a connection worth keeping."""
    while True:
        writer.write(Sent.signed(EVE).raw())
        await asyncio.sleep(1.0)


async def nothing_read(writer: asyncio.StreamWriter) -> None:
    """More refusals than fit on the way, and nobody who takes them: the reader is full, and asks for no more."""
    for _ in range(200):
        writer.write(Sent.signed(EVE).raw() * 50)
        await asyncio.sleep(0.01)


async def unread_body_of_a_refusal(writer: asyncio.StreamWriter) -> None:
    """Refused from its head; the rest of the body never ends."""
    await dripped(writer, Sent({}, body=b"x" * 300).raw(), 120)


async def closed_after(port: int, habit: Habit) -> float:
    """How long a connection with this habit lasts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = now()
    acting = asyncio.create_task(habit(writer))  # type: ignore[arg-type]
    try:
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
        return now() - began
    finally:
        acting.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await acting
        writer.close()


HABITS: list[Habit] = [
    half_head, half_body, nothing, no_end_of_refusals, unread_body_of_a_refusal,
]  # fmt: skip


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.__name__)
def test_each_kind_of_slowness_ends(habit: Habit) -> None:
    async def run() -> None:
        async with miner() as axon:
            assert 0 < await closed_after(axon.port, habit) <= GONE
            await asyncio.sleep(0.1)
            assert not axon._service.connections.connections

    simulated(run())


def test_who_reads_nothing_is_cut_off() -> None:
    """Seen from the axon: this end would not notice."""

    async def run() -> None:
        async with miner() as axon:
            _, writer = await asyncio.open_connection("127.0.0.1", axon.port)
            began = now()
            await nothing_read(writer)
            assert len(axon._service.connections.connections) == 1
            while axon._service.connections.connections:
                await asyncio.sleep(0.1)
            assert now() - began <= GONE
            writer.close()

    simulated(run())


def test_six_hundred_and_fifty_of_them_keep_nobody_out() -> None:
    """More than the axon takes: honest callers come on new connections meanwhile, one after the other."""

    async def run() -> None:
        async with miner() as axon:
            kinds = [half_head] * 500 + [half_body] * 100 + [nothing] * 50
            slow = [asyncio.create_task(closed_after(axon.port, kind)) for kind in kinds]
            await asyncio.sleep(0.001)
            target, most = Target(BOB.ss58_address, "127.0.0.1", axon.port), 0
            for _ in range(40):
                async with Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
                    outcome = await dendrite.ask(target, Echo(text="hello"), deadline=1.0)
                assert isinstance(outcome, Answered), outcome
                most = max(most, len(axon._service.connections.connections))
                await asyncio.sleep(GONE / 40)
            assert 450 < most <= axon.limits.max_connections
            assert max(await asyncio.gather(*slow)) <= GONE
            assert axon._service.connections.cut_off >= 650 - axon.limits.max_connections
            assert axon.stats["answered"] == 40

    simulated(run())


async def test_who_opens_many_pushes_out_his_own() -> None:
    """Somebody elsewhere is slow, too, and the oldest of all."""
    async with miner(Limits(max_connections=10)) as axon:
        connections = axon._service.connections
        raw = Sent.signed(body=b'{"text":"%s"}' % (b"x" * 2000)).raw()
        reader, writer = await asyncio.open_connection("127.0.0.1", axon.port, local_addr=("127.0.0.2", 0))
        writer.write(raw[:500])
        while not connections.connections:
            await asyncio.sleep(0.01)
        many = [asyncio.create_task(closed_after(axon.port, nothing)) for _ in range(40)]
        while connections.cut_off < 31:
            await asyncio.sleep(0.01)
        writer.write(raw[500:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert connections.cut_off == 31
        writer.close()
    await asyncio.gather(*many)


def test_nobody_is_cut_off_at_work() -> None:
    """Longer than any time-out of the door: who was let in has the time that its request asks for."""

    async def run() -> None:
        async with miner(hold=60.0) as axon:
            async with Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
                target = Target(BOB.ss58_address, "127.0.0.1", axon.port)
                for _ in range(2):
                    outcome = await dendrite.ask(target, Echo(text="hello"), deadline=100.0)
                    assert isinstance(outcome, Answered), outcome
                    await asyncio.sleep(1.0)  # within the time for which a dendrite keeps a connection
                assert dendrite.connections == (1, 1)
            assert axon._service.connections.cut_off == 0

    simulated(run())


def test_the_oldest_that_does_nothing_makes_room_and_work_is_left_alone() -> None:
    async def run() -> None:
        async with miner(Limits(max_connections=3), hold=2.0) as axon:
            reader, busy = await asyncio.open_connection("127.0.0.1", axon.port)
            busy.write(Sent.signed().raw())
            await asyncio.sleep(0.1)
            idle = [asyncio.create_task(closed_after(axon.port, nothing)) for _ in range(3)]
            await asyncio.sleep(0.1)
            assert [each.done() for each in idle] == [True, False, False]
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            busy.close()
            await asyncio.gather(*idle)

    simulated(run())
