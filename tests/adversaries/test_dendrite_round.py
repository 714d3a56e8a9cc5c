"""A round in which three in ten fail: each costs only itself; connections are reused; nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from faulty_miners import FAULTS, faulty_port
from hostile_miner import ALICE, BOB, Echo

from ranvier.protocol import AddressPolicy, Answered, Axon, Caller, Dendrite, Door, Limits, Target


@contextlib.asynccontextmanager
async def good(count: int, stack: contextlib.AsyncExitStack) -> AsyncIterator[list[Target]]:
    async def echo(request: Echo, caller: Caller) -> Echo.Reply:
        return Echo.Reply(text=request.text)

    targets = []
    for _ in range(count):
        axon = Axon(BOB, door=Door.open(), limits=Limits()).serve(Echo, echo)
        targets.append(Target(BOB.ss58_address, "127.0.0.1", (await stack.enter_async_context(axon)).port))
    yield targets


@contextlib.asynccontextmanager
async def network(miners: int) -> AsyncIterator[tuple[list[Target], list[tuple[str, Target]]]]:
    """Good miners, and at least three in ten faulty ones with the outcome that each shall have."""
    faults = [*FAULTS.values()] * -(-miners * 3 // (10 * len(FAULTS)))
    async with contextlib.AsyncExitStack() as stack:
        bad = []
        for fault in faults:
            port = await stack.enter_async_context(faulty_port(fault))
            bad.append((fault.outcome, Target(BOB.ss58_address, "127.0.0.1", port)))
        targets = await stack.enter_async_context(good(miners - len(bad), stack))
        yield targets, bad


@pytest.mark.parametrize("miners", [32, pytest.param(256, marks=pytest.mark.slow)])
async def test_every_good_answer_is_kept_and_every_fault_named(miners: int) -> None:
    async with (
        network(miners) as (targets, bad),
        Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite,
    ):
        assert len(bad) >= 0.3 * miners
        mixed = [*((target, "Answered") for target in targets), *((target, kind) for kind, target in bad)]
        mixed.sort(key=lambda each: each[0].port % 7)
        calls = [(target, Echo(text=f"{place}")) for place, (target, _) in enumerate(mixed)]
        outcomes = await dendrite.ask_all(calls, deadline=4.0)
        found = Counter((kind, type(one).__name__) for (_, kind), one in zip(mixed, outcomes, strict=True))
        assert set(found) == {(kind, kind) for _, kind in mixed}, found
        texts = [one.reply.text if isinstance(one, Answered) else None for one in outcomes]
        assert all(text in (None, f"{place}") for place, text in enumerate(texts))


async def test_a_round_reuses_the_connections_of_the_last_one() -> None:
    async with contextlib.AsyncExitStack() as stack:
        targets = await stack.enter_async_context(good(20, stack))
        async with Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
            for _ in range(5):
                outcomes = await dendrite.ask_all([(t, Echo(text="a")) for t in targets], deadline=20.0)
                assert all(isinstance(one, Answered) for one in outcomes)
            assert dendrite.connections == (20, 80)  # made, used again


async def test_a_round_that_is_cancelled_leaves_nothing_behind() -> None:
    async with network(20) as (targets, bad):
        everybody = [*targets, *(target for _, target in bad)]
        before = asyncio.all_tasks()
        async with Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
            for wait in (0.0, 0.001, 0.01, 0.1):
                calls = [(target, Echo(text="hello")) for target in everybody]
                asking = asyncio.create_task(dendrite.ask_all(calls, deadline=30.0))
                await asyncio.sleep(wait)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            await asyncio.sleep(0.05)
            left = [repr(task.get_coro()) for task in asyncio.all_tasks() - before]
            assert not [one for one in left if "Dendrite" in one or "Pool" in one or "Link" in one], left
            assert dendrite._outbound.room.free == Limits().max_unverified
            outcomes = await dendrite.ask_all([(t, Echo(text="a")) for t in targets], deadline=20.0)
            assert all(isinstance(one, Answered) for one in outcomes)


LOOKS_UP_NOTHING = """
import sys
events = []
sys.addaudithook(lambda name, args: events.append(name) if name.startswith("socket.") else None)
from ranvier.protocol import Axon, Dendrite, Door, keypair_from_uri
key = keypair_from_uri("//Alice")
Dendrite(key)
Axon(key, door=Door.open(), port=0)
assert events == [], events
import socket
socket.gethostbyname("localhost")
assert events, "the hook hears nothing"
"""


def test_no_constructor_uses_the_network() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOKS_UP_NOTHING], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
