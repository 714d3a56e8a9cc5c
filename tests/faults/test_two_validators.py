"""Two validators with one hotkey: on one machine the second never starts, elsewhere the chain gives it away."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

# ruff: noqa: E402 - the helpers are found by the lines below
sys.path[:0] = [
    str(Path(__file__).parent / "plugins"),
    str(Path(__file__).parents[1] / "neurons" / "plugins"),
]

from kill_audit import two_words
from kill_world import HIDDEN, OPEN, TEMPO, KillWorld, Spoken, Victim, kill_world

from ranvier.neurons.exits import ExitCode

STARTS, AT_ONCE = 50, 5
OTHER = "other-machine"
PATIENCE = 60.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[KillWorld]:
    async with kill_world(tmp_path) as made:
        made.tick()
        yield made


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


def words(world: KillWorld, netuid: int) -> list[Spoken]:
    """Vectors, in the open or promised."""
    return [one for one in world.spoken if one.netuid == netuid and one.name != "WeightsRevealed"]


def conflicts(world: KillWorld) -> int:
    return sum(len(two_words(words(world, netuid))) for netuid in (OPEN, HIDDEN))


def journalled(victim: Victim) -> set[tuple[int, int]]:
    """(netuid, block) of everything that a receipt told it."""
    found = set()
    for netuid in (OPEN, HIDDEN):
        (file,) = (victim.folder / "nodes").glob(f"validator-{netuid}-*.sqlite")
        rows = sqlite3.connect(file)
        found |= {
            (netuid, block)
            for (block,) in rows.execute("SELECT block FROM attempts WHERE outcome = 'included'")
        }
        rows.close()
    return found


def spoken_by_others(world: KillWorld, victim: Victim) -> set[tuple[int, int]]:
    return {
        (one.netuid, one.block) for netuid in (OPEN, HIDDEN) for one in words(world, netuid)
    } - journalled(victim)


async def spoke(world: KillWorld, times: int = 1) -> None:
    """Until the chain took so many vectors on both subnets."""
    await until(lambda: min(len(words(world, netuid)) for netuid in (OPEN, HIDDEN)) >= times)


def finish(victim: Victim) -> None:
    if victim.ended is None:
        assert victim.kill(15) == 0, victim.log


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_fifty_second_starts_on_one_machine_are_refused(world: KillWorld) -> None:
    first = Victim(world, "first")
    first.start()
    assert await first.up(), first.log
    for batch in range(STARTS // AT_ONCE):
        others = [Victim(world, f"second-{batch}-{number}") for number in range(AT_ONCE)]
        for other in others:
            other.start()
        for other in others:
            assert await other.dead(PATIENCE)
            assert other.ended == ExitCode.STATE_IN_USE, other.log
            assert "validates in another process of this machine" in other.log
    await spoke(world, 2)
    assert first.ended is None, first.log
    finish(first)
    assert (conflicts(world), spoken_by_others(world, first)) == (0, set())


async def test_of_five_that_start_together_one_validates(world: KillWorld) -> None:
    all_ = [Victim(world, f"one-of-five-{number}") for number in range(5)]
    for victim in all_:
        victim.start()
    await until(lambda: sum(victim.ended is not None for victim in all_) == 4)
    (alive,) = (victim for victim in all_ if victim.ended is None)
    assert {victim.ended for victim in all_ if victim is not alive} == {ExitCode.STATE_IN_USE}
    await spoke(world)
    finish(alive)
    assert (conflicts(world), spoken_by_others(world, alive)) == (0, set())


async def test_a_second_machine_is_refused_where_the_first_has_spoken(world: KillWorld) -> None:
    first, second = Victim(world, "first"), Victim(world, "second", OTHER)
    first.start()
    await spoke(world)
    second.start()
    assert await second.dead(PATIENCE)
    assert second.ended == ExitCode.DOPPELGANGER, second.log
    assert "another validator runs with this hotkey" in second.log
    assert "--takeover" in second.log
    finish(first)
    assert (conflicts(world), spoken_by_others(world, first)) == (0, set())


@pytest.mark.slow
async def test_a_second_machine_is_refused_while_it_watches(world: KillWorld) -> None:
    """They start together, so the second finds silence; it hears the first before its own turn comes."""
    first = Victim(world, "first")
    second = Victim(world, "second", OTHER, "--observe-blocks", str(3 * TEMPO))
    world.hush()
    for victim in (first, second):
        victim.start()
        assert await victim.up(), victim.log
    world.tick()
    assert await second.dead(PATIENCE)
    assert second.ended == ExitCode.DOPPELGANGER, second.log
    assert first.ended is None, first.log
    finish(first)
    assert (conflicts(world), spoken_by_others(world, first)) == (0, set())


@pytest.mark.slow
async def test_an_old_copy_of_the_state_is_refused(world: KillWorld) -> None:
    first = Victim(world, "first")
    first.start()
    await spoke(world)
    finish(first)
    second = Victim(world, "second", OTHER)
    shutil.copytree(first.folder / "nodes", second.folder / "nodes")
    # On both subnets: where the first has said nothing since, the copy is not old, and may speak before the other
    # subnet's conflict ends the process.
    before = {netuid: len(words(world, netuid)) for netuid in (OPEN, HIDDEN)}
    first.start()
    await until(lambda: all(len(words(world, netuid)) > said for netuid, said in before.items()))
    second.start()
    assert await second.dead(PATIENCE)
    assert second.ended == ExitCode.DOPPELGANGER, second.log
    finish(first)
    # Where the first ended with a vector of unknown fate, that explains its next words to the copy (docs/duties.md):
    # it may then speak once, in turn, before it hears what nothing explains. It contradicts nobody.
    assert conflicts(world) == 0


@pytest.mark.slow
async def test_two_that_watch_at_the_same_time_contradict_each_other_once_at_most(world: KillWorld) -> None:
    """The case that observation does not cover: both find silence. It ends with the first words."""
    pair = [Victim(world, name, name, "--observe-blocks", "5") for name in ("one", "two")]
    world.hush()
    for victim in pair:
        victim.start()
    for victim in pair:
        assert await victim.up(), victim.log
    world.tick()
    await until(lambda: any(victim.ended is not None for victim in pair))
    assert {victim.ended for victim in pair} <= {None, ExitCode.DOPPELGANGER}
    heard = conflicts(world)
    start = world.node.head.number
    await until(lambda: world.node.head.number > start + 2 * TEMPO)
    assert len(two_words(words(world, OPEN))) <= 1
    assert len(two_words(words(world, HIDDEN))) <= 1
    assert conflicts(world) == heard
    for victim in pair:
        finish(victim)
