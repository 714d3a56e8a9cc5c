"""A validator's duties: promises kept over restarts, no second voice, one machine's lock, one chain's state."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from neurons_world import going, miner_node, until, validator_node

from ranvier.chain import SetWeights
from ranvier.neurons.duties.doppelganger import DoppelgangerWatch, blocks_to_observe
from ranvier.neurons.duties.lock import hotkey_lock
from ranvier.neurons.duties.revealer import Revealer
from ranvier.neurons.errors import Doppelganger, HotkeyInUse, StateMismatch
from ranvier.neurons.events import RoundReport, WeightsSet
from ranvier.neurons.exits import ExitCode, explain
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import Form, Intent, IntentStatus, Journal, Slot
from ranvier.neurons.weights import Landing, WeightSetter


@pytest.fixture
def hidden(new_world: Callable[..., Any]) -> Any:
    """A chain whose subnet takes promised weights."""
    return new_world(commit_reveal=True)


@contextlib.asynccontextmanager
async def journalled(world: Any) -> AsyncIterator[tuple[Any, Journal, WeightSetter, Revealer]]:
    key = world.key("v0")
    async with world.chain() as chain:
        with Database(world.folder / "j.sqlite") as database:
            journal = Journal(database)
            setter = WeightSetter(chain, key, 1, journal, network="local")
            yield chain, journal, setter, Revealer(chain, key, 1, journal, "local")


def only(journal: Journal, world: Any, epoch: int) -> Intent:
    found = journal.current(Slot("local", 1, epoch, world.key("v0").ss58_address))
    assert found is not None
    return found


async def fresh_epoch(chain: Any) -> bool:
    graph = await chain.metagraph(1)
    return graph.last_step > 0 and graph.block - graph.last_step <= 3


async def kept(chain: Any, revealer: Revealer) -> bool:
    return await revealer.keep(await chain.metagraph(1)) == 0


async def test_a_promise_is_kept_by_a_later_process(hidden: Any) -> None:
    weights = {hidden.key("m0").ss58_address: 3.0, hidden.key("m1").ss58_address: 1.0}
    async with journalled(hidden) as (chain, journal, setter, _):
        await until(lambda: fresh_epoch(chain))
        outcome = await setter.set(weights)
        assert (outcome.landing, outcome.landed) == (Landing.PROMISED, True)
        assert (await setter.set({hidden.key("m2").ss58_address: 1.0})).landing is Landing.ALREADY
        assert await chain.weights(1) == {}
        intent = only(journal, hidden, outcome.epoch)
        assert (intent.form, intent.status) == (Form.HASHED, IntentStatus.PROMISED)
    async with journalled(hidden) as (chain, journal, _, revealer):
        await until(lambda: kept(chain, revealer))
        assert only(journal, hidden, outcome.epoch).status is IntentStatus.LANDED
        assert (await chain.weights(1))[0] == {2: 65535, 3: 21845}
        events = [event.name for event in await chain.events(0)]
    assert events.count("WeightsCommitted") == events.count("WeightsRevealed") == 1


async def test_a_promise_of_unknown_fate_is_found_and_kept(hidden: Any) -> None:
    """The process died after sending: its journal knows only the intent."""
    weights = {hidden.key("m0").ss58_address: 1.0}
    async with journalled(hidden) as (chain, journal, setter, revealer):
        await until(lambda: fresh_epoch(chain))
        outcome = await setter.set(weights)
        intent = only(journal, hidden, outcome.epoch)
        journal._database.execute("UPDATE vectors SET status = 'intended'")
        journal._database.execute("DELETE FROM attempts")
        again = await setter.set(weights)
        assert (again.landing, again.detail) == (Landing.ALREADY, "found on the chain")
        journal._database.execute("UPDATE vectors SET status = 'intended'")
        await until(lambda: kept(chain, revealer))
        assert only(journal, hidden, intent.slot.epoch).status is IntentStatus.LANDED
        assert [event.name for event in await chain.events(0)].count("WeightsCommitted") == 1


async def test_a_promise_that_the_chain_dropped_is_named_expired(hidden: Any) -> None:
    async with journalled(hidden) as (chain, journal, setter, revealer):
        await until(lambda: fresh_epoch(chain))
        outcome = await setter.set({hidden.key("m0").ss58_address: 1.0})
        (commit,) = await chain.commits(1, hidden.key("v0").ss58_address)
        await until(lambda: passed(chain, commit.last_reveal))
        assert await kept(chain, revealer)
        assert only(journal, hidden, outcome.epoch).status is IntentStatus.EXPIRED
        assert await chain.weights(1) == {}


async def passed(chain: Any, block: int) -> bool:
    return (await chain.block()).number > block


async def test_a_validator_on_such_a_subnet_pays_its_miners(hidden: Any) -> None:
    events: list[Any] = []
    async with hidden.chain() as chain:

        async def paid() -> bool:
            return any(neuron.incentive for neuron in (await chain.metagraph(1)).neurons)

        nodes = [miner_node(hidden, chain, "m0"), validator_node(hidden, chain, "v0", [events.append])]
        async with going(*nodes):
            await until(paid)
    assert any(isinstance(event, WeightsSet) and event.landing == "promised" for event in events)


async def test_weights_of_another_process_stop_a_running_validator(world: Any) -> None:
    events: list[Any] = []
    async with world.chain() as chain, going(miner_node(world, chain, "m0")):
        node = validator_node(world, chain, "v0", [events.append])
        task = asyncio.create_task(node.run(asyncio.Event()))
        await until(lambda: any(isinstance(event, WeightsSet) for event in events))
        await chain.submit(SetWeights(1, (4,), (1,)), world.key("v0"))
        with pytest.raises(Doppelganger, match="--takeover") as caught:
            await asyncio.wait_for(task, 30)
    assert explain(caught.value)[0] is ExitCode.DOPPELGANGER == 19


async def test_recent_weights_that_no_journal_knows_refuse_the_start(world: Any) -> None:
    async with world.chain() as chain:
        await chain.submit(SetWeights(1, (4,), (1,)), world.key("v0"))
        with pytest.raises(Doppelganger, match="blocks before this start"):
            await validator_node(world, chain, "v0").run(asyncio.Event())
        events: list[Any] = []
        node = validator_node(world, chain, "v0", [events.append], takeover=True)
        async with going(miner_node(world, chain, "m0"), node):
            await until(lambda: any(isinstance(event, WeightsSet) for event in events))
        # From then on the state knows it; the flag is for one start.
        async with going(validator_node(world, chain, "v0", [events.append])):
            count = len(events)
            await until(lambda: any(isinstance(event, RoundReport) for event in events[count:]))


async def test_no_weights_before_the_observation_is_over(world: Any) -> None:
    async with world.chain() as chain, going(miner_node(world, chain, "m0")):
        start = (await chain.block()).number
        events: list[Any] = []
        async with going(validator_node(world, chain, "v0", [events.append], observe_blocks=30)):
            await until(lambda: any(isinstance(event, WeightsSet) for event in events))
        own = (await chain.metagraph(1)).by_hotkey(world.key("v0").ss58_address)
        assert own.last_update >= start + 30


async def test_somebody_who_speaks_during_the_observation_is_noticed(world: Any) -> None:
    async with world.chain() as chain, going(miner_node(world, chain, "m0")):
        node = validator_node(world, chain, "v0", observe_blocks=20)
        task = asyncio.create_task(node.run(asyncio.Event()))
        await until(lambda: node.health().measures.figures.get("round"))
        await chain.submit(SetWeights(1, (4,), (1,)), world.key("v0"))
        with pytest.raises(Doppelganger):
            await asyncio.wait_for(task, 60)
        assert (await chain.weights(1))[0] == {4: 65535}


def test_how_long_is_watched() -> None:
    assert blocks_to_observe(-1, 100, on_this_machine=False) == 100
    assert blocks_to_observe(-1, 5000, on_this_machine=False) == 360
    assert blocks_to_observe(-1, 100, on_this_machine=True) == 0
    assert blocks_to_observe(7, 100, on_this_machine=True) == 7


async def test_old_weights_of_somebody_are_accepted_in_silence(world: Any) -> None:
    async with world.chain() as chain:
        receipt = await chain.submit(SetWeights(1, (4,), (1,)), world.key("v0"))
        await until(lambda: passed(chain, receipt.block + 26))
        own = world.key("v0").ss58_address
        with Database(world.folder / "j.sqlite") as database:
            watch = DoppelgangerWatch(database, "local", 1, own, observe=0, takeover=False)
            await watch.start(chain, await chain.metagraph(1))
            watch.check(await chain.metagraph(1))


async def test_the_state_of_another_chain_is_refused_by_its_genesis(
    new_world: Callable[..., Any], tmp_path: Any
) -> None:
    world = new_world()
    async with world.chain() as chain:
        node = validator_node(world, chain, "v0")
        async with going(miner_node(world, chain, "m0"), node):
            await until(lambda: node.health().measures.figures.get("round"))
        with Database(node.state_file) as database:
            database.remember("genesis", "0x" + "ab" * 32)
            database.execute("UPDATE rounds SET block = 0")
        with pytest.raises(StateMismatch, match="genesis 0xabababababababab"):
            await validator_node(world, chain, "v0").run(asyncio.Event())


def test_the_lock_is_one_for_each_chain_and_hotkey(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path))
    refused = pytest.raises(HotkeyInUse, match="a validates in another process")
    with hotkey_lock("0x1", "a"), hotkey_lock("0x2", "a"), hotkey_lock("0x1", "b"), refused:
        hotkey_lock("0x1", "a").__enter__()
    with hotkey_lock("0x1", "a"):
        pass
