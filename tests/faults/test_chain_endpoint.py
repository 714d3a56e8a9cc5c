"""The chain's endpoint fails for ten minutes across an epoch's end: what a validator and a miner make of it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "plugins"))

from busy_loop import BusyLoop
from fault_proxy import Fault, FaultProxy
from fault_world import BLOCK, TEMPO, FaultWorld, play

LENGTH = 51
"""Blocks that a fault lasts: 612 simulated seconds, two epochs and a half."""
CAUSES = {
    Fault.REFUSED: "cannot be reached",
    Fault.BLACK_HOLE: "did not finish within",
    Fault.RUBBISH: "cannot read",
    Fault.WRONG_CHAIN: "belongs to the chain with genesis 0x7777",
    Fault.ERRORS: "is no chain server",
    Fault.NOISE: "Bad status line",
}
"""Faults that leave nothing of the chain, and what the nodes say of each."""


async def due(world: FaultWorld, block: int = 4) -> None:
    """Until weights landed, then to this block of an epoch: they are due again at its half."""
    await world.until(lambda: _later(world, 0), 4 * TEMPO)
    await world.until(lambda: _in_block(world, block), 2 * TEMPO)
    assert await world.health() == (200, {"miner": [], "validator": []})


async def _later(world: FaultWorld, than: int) -> bool:
    return await world.updated() > than


async def _in_block(world: FaultWorld, block: int) -> bool:
    return await world.block_of_epoch() == block


async def to_phase(phase: float) -> None:
    """To this share of a block's time."""
    await asyncio.sleep((phase * BLOCK - asyncio.get_running_loop().time()) % BLOCK)


async def back(world: FaultWorld, before: int) -> None:
    """The endpoint works again: weights within two blocks, and all is well within one more."""
    returned = world.head
    await world.proxy.heal()
    landed = await world.until(lambda: _newer(world, before), 2.5)
    assert landed <= returned + 2
    await world.until(lambda: _well(world), 3)


async def _newer(world: FaultWorld, before: int) -> int:
    updated = await world.updated()
    return updated if updated > before else 0


async def _well(world: FaultWorld) -> bool:
    return await world.health() == (200, {"miner": [], "validator": []})


async def lost(world: FaultWorld, fault: Fault, start: float, end: float) -> None:
    """A fault that leaves nothing of the chain, from one phase of a block to another."""
    await due(world)
    before, epoch = await world.updated(), (await world.metagraph()).last_step
    await to_phase(start)
    world.proxy.spoil(fault)
    await asyncio.sleep(5 * BLOCK)
    status, reasons = await world.health()
    assert status == 503
    for role in ("miner", "validator"):
        assert re.match(r"no block for \d\d s: blocks cannot be read: ", reasons[role][0])
        assert CAUSES[fault] in reasons[role][0]
        assert max(map(len, reasons[role])) < 400
    assert (await world.get("/health/live"))[0] == 200
    status, metrics = await world.get("/metrics")
    assert status == 200
    assert "ranvier_validator_degraded{" in metrics
    await asyncio.sleep((LENGTH - 5) * BLOCK)
    await to_phase(end)
    assert await world.updated() == before
    assert (await world.metagraph()).last_step > epoch
    await back(world, before)


@pytest.mark.parametrize("end", [0.02, 0.97])
@pytest.mark.parametrize("fault", CAUSES)
def test_weights_land_within_two_blocks_of_its_return(fault: Fault, end: float, tmp_path: Path) -> None:
    assert play(lambda world: lost(world, fault, 0.5, end), tmp_path) < 1.0


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", CAUSES)
def test_at_any_moment_of_a_block(fault: Fault, tmp_path: Path) -> None:
    for start in (0.01, 0.3, 0.9):
        for end in range(1, 24):
            folder = tmp_path / f"{start}-{end}"
            folder.mkdir()
            assert play(lambda world: lost(world, fault, start, end / 24), folder) < 1.0  # noqa: B023


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.BLACK_HOLE])
def test_so_do_promises_where_a_subnet_demands_them(fault: Fault, tmp_path: Path) -> None:
    play(lambda world: lost(world, fault, 0.5, 0.97), tmp_path, commit_reveal=True)


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.BLACK_HOLE])
def test_it_goes_after_the_weights_of_its_epoch_landed(fault: Fault, tmp_path: Path) -> None:
    async def scene(world: FaultWorld) -> None:
        await due(world, 13)
        before = await world.updated()
        world.proxy.spoil(fault)
        await asyncio.sleep((LENGTH + 10) * BLOCK)
        await to_phase(0.97)
        await back(world, before)

    play(scene, tmp_path)


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.BLACK_HOLE])
def test_it_goes_while_the_chain_refuses_weights_for_now(fault: Fault, tmp_path: Path) -> None:
    async def scene(world: FaultWorld) -> None:
        await due(world, 13)
        before = await world.updated()
        # An epoch later the validator is refused in every block, because it is too fast, and asks again.
        await asyncio.sleep((TEMPO + 1) * BLOCK)
        assert await world.updated() == before
        world.proxy.spoil(fault)
        await asyncio.sleep((LENGTH - 10) * BLOCK)
        await to_phase(0.97)
        await back(world, before)

    play(scene, tmp_path, weights_rate_limit=31)
    assert "SettingWeightsTooFast" in _details(tmp_path)


def _details(folder: Path) -> str:
    """What the journal says of every attempt."""
    rows = sqlite3.connect(next((folder / "nodes").glob("validator-*.sqlite")))
    try:
        return "\n".join(text for (text,) in rows.execute("SELECT detail FROM attempts"))
    finally:
        rows.close()


def _spoil(proxy: FaultProxy, fault: Fault) -> Callable[[], None]:
    return lambda: proxy.spoil(fault)


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.BLACK_HOLE, Fault.WRONG_CHAIN])
@pytest.mark.parametrize("moment", ["at_call", "at_reply"])
def test_it_goes_between_sending_and_reading_back(moment: str, fault: Fault, tmp_path: Path) -> None:
    async def scene(world: FaultWorld) -> None:
        await due(world)
        before = await world.updated()
        setattr(world.proxy, moment, _spoil(world.proxy, fault))
        await asyncio.sleep(LENGTH * BLOCK)
        await to_phase(0.97)
        lost = await world.updated()
        assert (lost > before) == (moment == "at_reply")
        await back(world, lost)

    play(scene, tmp_path)
    assert _vectors(tmp_path) == {1}


def _vectors(folder: Path) -> set[int]:
    """How many vectors there are for one epoch that the chain may hold."""
    rows = sqlite3.connect(next((folder / "nodes").glob("validator-*.sqlite")))
    try:
        counts = rows.execute("SELECT count(*) FROM vectors WHERE status != 'refused' GROUP BY epoch")
        return {count for (count,) in counts}
    finally:
        rows.close()


@pytest.mark.parametrize("moment", ["at_call", "at_reply", None])
def test_half_open_connections_are_given_up_within_three_blocks(moment: str | None, tmp_path: Path) -> None:
    async def scene(world: FaultWorld) -> None:
        await due(world, 8)
        before, epoch = await world.updated(), (await world.metagraph()).last_step
        if moment:
            setattr(world.proxy, moment, _spoil(world.proxy, Fault.HALF_OPEN))
        else:
            world.proxy.spoil(Fault.HALF_OPEN)
        await world.until(lambda: _newer(world, before), 7)
        assert (await world.metagraph()).last_step == epoch
        await world.until(lambda: _well(world), 4)

    assert play(scene, tmp_path) < 1.0
    assert _vectors(tmp_path) == {1}


def test_a_silent_subscription_is_told_of_and_replaced_by_asking(tmp_path: Path) -> None:
    async def scene(world: FaultWorld) -> None:
        await due(world)
        world.proxy.spoil(Fault.SILENT)
        await asyncio.sleep(4 * BLOCK)
        status, reasons = await world.health()
        assert (status, set(reasons["validator"])) == (503, set(reasons["miner"]))
        assert "does not tell of new blocks" in reasons["miner"][0]
        before, epoch = await world.updated(), (await world.metagraph()).last_step
        await asyncio.sleep((LENGTH - 4) * BLOCK)
        assert await world.updated() > (await world.metagraph()).last_step - TEMPO > epoch > before
        await world.proxy.heal()
        await world.until(lambda: _well(world), 3)

    assert play(scene, tmp_path) < 1.0


@pytest.mark.parametrize("fault", CAUSES)
def test_a_node_stops_when_told_to_while_the_chain_is_away(fault: Fault, tmp_path: Path) -> None:
    async def scene(world: FaultWorld) -> None:
        await due(world, 9)
        world.proxy.spoil(fault)
        await asyncio.sleep(5 * BLOCK)
        world.stop.set()
        async with asyncio.timeout(15.0):
            await asyncio.gather(*world.work[1:])

    assert play(scene, tmp_path) < 1.0


def test_a_loop_that_is_held_is_seen() -> None:
    loop = BusyLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(_hold())
        assert loop.longest > 1.0


async def _hold() -> None:
    await asyncio.sleep(5.0)
    time.sleep(1.1)
    await asyncio.sleep(5.0)
