"""One caller sends twenty times what an axon can do: it gets what is left over, and is told so; nobody else waits long.

Time is simulated, so that only the axon's rules are measured and not the machine; benchmarks/protocol has real seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from axon_process import Echo
from hostile_caller import ALICE, BOB

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Dendrite,
    Door,
    Limits,
    Refused,
    Standing,
    Target,
    keypair_from_uri,
)
from ranvier.testing.loop import SimulatedLoop

PLACES, HOLD = 8, 0.2
CAPACITY = PLACES / HOLD
FLOODER = keypair_from_uri("//Charlie")
OTHERS = [ALICE, keypair_from_uri("//Dave"), keypair_from_uri("//Ferdie")]
SECONDS = 12.0


@dataclass
class Seen:
    """Seconds of the others' calls; the flooder's outcomes with theirs."""

    others: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    refusals: list[tuple[Refused, float]] = field(default_factory=list)
    answered: int = 0


async def timed(dendrite: Dendrite, target: Target) -> tuple[Any, float]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcome = await dendrite.ask(target, Echo(text="hello"), deadline=5.0)
    return outcome, loop.time() - began


async def steadily(dendrite: Dendrite, target: Target, seen: Seen) -> None:
    """One request after the other, with a breath between them."""
    while asyncio.get_running_loop().time() < SECONDS:
        outcome, took = await timed(dendrite, target)
        seen.kinds[type(outcome).__name__] += 1
        seen.others.append(took)
        await asyncio.sleep(0.13)


async def flood(dendrite: Dendrite, target: Target, seen: Seen) -> None:
    async def one() -> None:
        outcome, took = await timed(dendrite, target)
        if isinstance(outcome, Refused):
            seen.refusals.append((outcome, took))
        seen.answered += isinstance(outcome, Answered)

    async with asyncio.TaskGroup() as tasks:
        while asyncio.get_running_loop().time() < SECONDS:
            for _ in range(20):
                tasks.create_task(one())
            await asyncio.sleep(20 / (20 * CAPACITY))


def told(*, flooded: bool, stake: int, rate: float = 1e9, burst: int = 10**9, standing: int = 10**9) -> Seen:
    async def echo(request: Echo, caller: Caller) -> Echo.Reply:
        await asyncio.sleep(HOLD)
        return Echo.Reply(text=request.text)

    async def run() -> Seen:
        door, seen = Door(), Seen()
        stakes = {key.ss58_address: Standing(uid, standing, True) for uid, key in enumerate(OTHERS)}
        door.update(stakes | {FLOODER.ss58_address: Standing(9, stake, True)})
        limits = Limits(max_concurrent=PLACES, rate=rate, burst=burst)
        async with contextlib.AsyncExitStack() as stack:
            axon = await stack.enter_async_context(Axon(BOB, door=door, limits=limits).serve(Echo, echo))
            target = Target(BOB.ss58_address, "127.0.0.1", axon.port)
            clients = [
                await stack.enter_async_context(Dendrite(key, addresses=AddressPolicy.local()))
                for key in (*OTHERS, FLOODER)
            ]
            async with asyncio.TaskGroup() as tasks:
                if flooded:
                    tasks.create_task(flood(clients[-1], target, seen))
                for client in clients[:-1]:
                    tasks.create_task(steadily(client, target, seen))
        return seen

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(run())


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


@pytest.mark.parametrize("stake", [0, 10**18], ids=["no stake", "all the stake"])
@pytest.mark.parametrize(
    "limits", [{}, {"rate": 50.0, "burst": 200}], ids=["by turns alone", "with the default rate"]
)
def test_twenty_times_too_much_of_one(stake: int, limits: dict[str, Any]) -> None:
    alone = told(flooded=False, stake=stake)
    assert max(alone.others) < HOLD * 1.01
    seen = told(flooded=True, stake=stake, **limits)
    assert set(seen.kinds) == {"Answered"}
    assert p95(seen.others) <= 1.5 * p95(alone.others)
    assert max(seen.others) <= 2.1 * HOLD, "one turn of somebody else at most"
    assert len(seen.others) >= 0.9 * len(alone.others)
    assert len(seen.refusals) > 0.8 * 20 * CAPACITY * SECONDS
    for refused, took in seen.refusals:
        assert refused.code in ("busy", "rate-limited")
        assert refused.retry_after is not None
        assert 0 < refused.retry_after <= 5
        # In simulated time work costs none: what is left is the time in the queue, which refusals have no part in.
        assert took <= 0.05
    # The axon is not idle meanwhile: the flooder gets what nobody else wants, as far as its rate allows.
    if "rate" not in limits:
        assert seen.answered >= SECONDS * CAPACITY / 2
