"""A validator on root divides emission by what it verified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ranvier.chain import (
    RAO,
    ChainUnreachable,
    GenesisNeuron,
    GenesisSubnet,
    Keypair,
    RootRegister,
    local_genesis,
    local_hyperparameters,
    local_network,
)
from ranvier.chain.embedded import EmbeddedChain
from ranvier.neurons.duties.root import RootDuty
from ranvier.neurons.events import MinerLine, RoundReport

HOT, COLD = (Keypair.create_from_uri(f"//{name}") for name in ("hot", "cold"))


def report(netuid: int, *averages: float, validator: str = HOT.ss58_address) -> RoundReport:
    lines = tuple(
        MinerLine(
            hotkey=str(uid),
            uid=uid,
            asked=1,
            answered=1,
            verified=1,
            value=average,
            average=average,
            elapsed=1.0,
            reason="",
        )
        for uid, average in enumerate(averages)
    )
    return RoundReport(
        validator=validator, netuid=netuid, round=1, block=1, epoch=1, seconds=1.0, miners=lines
    )


@pytest.fixture
async def chain() -> AsyncIterator[EmbeddedChain]:
    neuron = GenesisNeuron(hotkey=HOT.ss58_address, coldkey=COLD.ss58_address, stake=100 * RAO)
    settings = local_hyperparameters(300)
    subnets = [GenesisSubnet(name=name, hyperparameters=settings, neurons=(neuron,)) for name in "ab"]
    genesis = local_genesis(subnets, clock="manual", block_time=0.05)
    network = local_network(emission="proportional", root_tempo=3, root_weights_interval=2)
    async with EmbeddedChain(genesis.model_copy(update={"network": network})) as made:
        yield made


async def beat(chain: EmbeddedChain) -> None:
    while True:
        await asyncio.sleep(0.01)
        await chain.advance()


async def until(true: object) -> None:
    assert callable(true)
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def test_emission_follows_verified_work(chain: EmbeddedChain) -> None:
    await chain.carry_out(RootRegister(HOT.ss58_address), COLD)
    duty, stop = RootDuty(chain, HOT, frozenset({1, 2})), asyncio.Event()
    running, clock = asyncio.ensure_future(duty.run(stop)), asyncio.ensure_future(beat(chain))
    try:
        duty.hear(report(1, 0.5, 0.5))
        duty.hear(report(2, 0.9, validator="somebody else"))
        await asyncio.sleep(0.2)
        assert duty.set == 0
        assert "subnet 2" in duty.problem, "nothing is said of what was not measured"
        duty.hear(report(2, 1.0, 1.0, 1.0))
        await until(lambda: duty.set >= 2)
        assert duty.problem == ""
        stop.set()
        await running
        await chain.advance(3)
        shares = {info.netuid: info.emission_share for info in await chain.subnets()}
        assert shares == pytest.approx({1: 0.25, 2: 0.75}, abs=1e-3)
    finally:
        clock.cancel()
        running.cancel()
        await asyncio.gather(clock, running, return_exceptions=True)


async def test_without_a_seat_it_says_so_and_work_of_nobody_is_no_weight(chain: EmbeddedChain) -> None:
    duty, stop = RootDuty(chain, HOT, frozenset({1})), asyncio.Event()
    duty.hear(report(1, 0.0))
    running = asyncio.ensure_future(duty.run(stop))
    await until(lambda: "nothing" in duty.problem or "no subnet" in duty.problem)
    duty.hear(report(1, 0.4))
    await until(lambda: "ranvier root register" in duty.problem)
    stop.set()
    await running
    assert duty.set == 0


async def test_a_chain_that_is_away_for_a_moment_ends_no_duty(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every question that the duty asks fails once, at its first and at its second time."""
    monkeypatch.setattr("ranvier.neurons.duties.root.PAUSE", 0.01)
    await chain.carry_out(RootRegister(HOT.ss58_address), COLD)
    duty, stop, asked = RootDuty(chain, HOT, frozenset({1})), asyncio.Event(), dict[str, int]()

    def away(name: str) -> None:
        real = getattr(chain, name)

        async def failing(*words: object) -> object:
            asked[name] = asked.get(name, 0) + 1
            if asked[name] <= 2:
                raise ChainUnreachable("the chain", "away")
            return await real(*words)

        monkeypatch.setattr(chain, name, failing)

    for name in ("block", "block_time", "network", "root", "submit"):
        away(name)
    duty.hear(report(1, 0.4))
    running, clock = asyncio.ensure_future(duty.run(stop)), asyncio.ensure_future(beat(chain))
    try:
        await until(lambda: duty.set >= 2 or running.done())
        stop.set()
        await running
        assert duty.set >= 2
        assert min(asked.values()) > 2
    finally:
        clock.cancel()
        running.cancel()
        await asyncio.gather(clock, running, return_exceptions=True)
