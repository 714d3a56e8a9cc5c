"""One vector an epoch also where a call comes late, and a twin noticed while our own vector is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bittensor_core import Keypair

from ranvier.chain import RAO, GenesisNeuron, GenesisSubnet, SetWeights, local_genesis, local_hyperparameters
from ranvier.chain.local import LocalChain
from ranvier.chain.node import ChainNode
from ranvier.chain.server import running
from ranvier.neurons.duties.doppelganger import DoppelgangerWatch
from ranvier.neurons.duties.revealer import Revealer
from ranvier.neurons.errors import Doppelganger
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import INCLUDED, REFUSED, UNKNOWN, Form, IntentStatus, Journal, Slot
from ranvier.neurons.vectors import WeightVector
from ranvier.neurons.weights import Landing, WeightSetter

TEMPO = 10
KEY = Keypair.create_from_uri("//validator")
FIRST, SECOND = (str(Keypair.create_from_uri(f"//miner{number}").ss58_address) for number in (1, 2))


@dataclass
class Desk:
    """A validator's tools on a chain whose blocks come when asked for."""

    chain: LocalChain
    database: Database
    journal: Journal
    setter: WeightSetter
    watch: DoppelgangerWatch
    node: ChainNode

    async def to_last_block_of_epoch(self) -> None:
        while True:
            graph = await self.chain.metagraph(1)
            if graph.last_step and graph.block == graph.last_step + TEMPO:
                return
            await self.chain.advance()

    async def sending(self, weights: dict[str, float]) -> asyncio.Task[Any]:
        """A setting whose call waits for the next block."""
        task = asyncio.create_task(self.setter.set(weights))
        await self.waiting(1)
        return task

    async def waiting(self, calls: int) -> None:
        """Until so many calls wait for the next block."""
        while len(self.node._pool._calls) < calls:
            await asyncio.sleep(0.01)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with made(tmp_path) as desk:
        yield desk


@pytest.fixture
async def hidden_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with made(tmp_path, commit_reveal=True) as desk:
        yield desk


@asynccontextmanager
async def made(folder: Path, **changes: Any) -> AsyncIterator[Desk]:
    cold = str(Keypair.create_from_uri("//cold").ss58_address)
    neurons = [GenesisNeuron(hotkey=name, coldkey=cold, stake=0) for name in (FIRST, SECOND)]
    neurons.append(GenesisNeuron(hotkey=str(KEY.ss58_address), coldkey=cold, stake=1000 * RAO))
    settings = local_hyperparameters(tempo=TEMPO, weights_rate_limit=3, **changes)
    subnet = GenesisSubnet(name="a", hyperparameters=settings, neurons=tuple(neurons))
    genesis = local_genesis([subnet], block_time=12.0, clock="manual")
    async with running(folder / "chain", genesis) as server, LocalChain(server.endpoint) as chain:
        with Database(folder / "j.sqlite") as database:
            journal = Journal(database)
            watch = DoppelgangerWatch(database, "local", 1, str(KEY.ss58_address), observe=0, takeover=False)
            setter = WeightSetter(chain, KEY, 1, journal, network="local", guard=watch.check)
            yield Desk(chain, database, journal, setter, watch, server.node)


async def test_a_vector_that_comes_late_is_the_one_of_its_new_epoch(desk: Desk) -> None:
    await desk.to_last_block_of_epoch()
    await desk.watch.start(desk.chain, await desk.chain.metagraph(1))
    task = await desk.sending({FIRST: 1.0})
    block = await desk.chain.advance()
    outcome = await task
    graph = await desk.chain.metagraph(1)
    assert graph.last_step == block.number > outcome.epoch
    await desk.chain.advance(5)
    again = await asyncio.wait_for(desk.setter.set({SECOND: 1.0}), 20)
    assert (again.landing, again.epoch) == (Landing.LATE, block.number)
    assert again.landed
    assert (await desk.chain.weights(1))[2] == {0: 65535}
    await desk.to_last_block_of_epoch()
    await desk.chain.advance()
    task = await desk.sending({SECOND: 1.0})
    await desk.chain.advance()
    assert (await task).landing is Landing.LANDED


async def test_a_twin_is_noticed_while_the_chain_refuses_our_vector_for_it(desk: Desk) -> None:
    await desk.to_last_block_of_epoch()
    await desk.chain.advance(4)
    await desk.watch.start(desk.chain, await desk.chain.metagraph(1))
    await desk.chain.send(SetWeights(1, (1,), (9,)), KEY)
    task = asyncio.create_task(desk.setter.set({FIRST: 1.0}))
    await desk.waiting(2)
    await desk.chain.advance()
    with pytest.raises(Doppelganger, match="--takeover"):
        await asyncio.wait_for(task, 20)
    assert (await desk.chain.weights(1))[2] == {1: 65535}


@pytest.mark.parametrize(
    ("outcomes", "known"),
    [
        ((), True),
        ((REFUSED,), False),
        ((REFUSED, UNKNOWN), True),
        ((UNKNOWN, INCLUDED), False),
        ((INCLUDED, UNKNOWN), True),
    ],
)
async def test_what_a_vector_explains(desk: Desk, outcomes: tuple[str, ...], known: bool) -> None:
    slot = Slot("local", 1, 0, str(KEY.ss58_address))
    intent = desk.journal.intend(slot, WeightVector({FIRST: 65535}), 50, Form.OPEN, None)
    for outcome in outcomes:
        desk.journal.note(intent, 52, outcome, "")
    assert (desk.journal.explanation(slot, 55, 10) is not None) is known
    assert (desk.journal.explanation(slot, 52, 0) is not None) is (INCLUDED in outcomes)
    assert desk.journal.explanation(slot, 49, 10) is None
    assert desk.journal.explanation(slot, 61, 10) is None


async def test_a_new_process_trusts_no_old_refusal(desk: Desk) -> None:
    slot = Slot("local", 1, 0, str(KEY.ss58_address))
    intent = desk.journal.intend(slot, WeightVector({FIRST: 65535}), 50, Form.OPEN, None)
    desk.journal.note(intent, 51, REFUSED, "too fast")
    for _ in range(2):
        desk.journal.doubt(slot, 52)
    assert [attempt.outcome for attempt in desk.journal.attempts(slot)] == [REFUSED, UNKNOWN]
    assert not desk.journal.may_be_refused(intent)
    desk.journal.note(intent, 53, "landed", "", IntentStatus.LANDED)
    desk.journal.doubt(slot, 54)
    assert len(desk.journal.attempts(slot)) == 3


async def test_a_promise_shown_by_a_sending_that_nobody_heard_of_is_kept_not_lost(hidden_desk: Desk) -> None:
    desk = hidden_desk
    await desk.to_last_block_of_epoch()
    await desk.chain.advance(3)
    task = await desk.sending({FIRST: 1.0})
    await desk.chain.advance()
    outcome = await task
    (commit,) = await desk.chain.commits(1, str(KEY.ss58_address))
    await desk.chain.advance(commit.first_reveal - 1 - (await desk.chain.block()).number)
    revealer = Revealer(desk.chain, KEY, 1, desk.journal, "local")
    graph = await desk.chain.metagraph(1)
    lives = [asyncio.create_task(revealer.keep(graph)) for _ in range(2)]
    await desk.waiting(2)
    await desk.chain.advance()
    await asyncio.wait_for(asyncio.gather(*lives), 20)
    intent = desk.journal.current(Slot("local", 1, outcome.epoch, str(KEY.ss58_address)))
    assert intent is not None
    assert intent.status is IntentStatus.LANDED
    events = [event.name for event in await desk.chain.events(0)]
    assert events.count("WeightsRevealed") == 1


async def test_a_promise_of_a_twin_in_the_very_block_of_ours_is_noticed(hidden_desk: Desk) -> None:
    desk = hidden_desk
    await desk.to_last_block_of_epoch()
    await desk.chain.advance(3)
    await desk.watch.start(desk.chain, await desk.chain.metagraph(1))
    task = await desk.sending({FIRST: 1.0})
    await desk.chain.advance()
    assert (await task).landing is Landing.PROMISED
    revealer = Revealer(desk.chain, KEY, 1, desk.journal, "local", desk.watch.check_promises)
    assert await revealer.keep(await desk.chain.metagraph(1)) == 1
    commits = await desk.chain.commits(1, str(KEY.ss58_address))
    desk.database.execute("UPDATE vectors SET promise = replace(promise, '0x', '0y')")
    desk.watch.check(await desk.chain.metagraph(1))
    with pytest.raises(Doppelganger, match="with a promise that this validator did not make"):
        desk.watch.check_promises(commits)


async def test_a_promise_that_was_seen_before_its_receipt_came_explains_its_block(hidden_desk: Desk) -> None:
    """The process dies between the two: its next life must not take itself for somebody else."""
    desk = hidden_desk
    await desk.to_last_block_of_epoch()
    await desk.chain.advance(3)
    await desk.watch.start(desk.chain, await desk.chain.metagraph(1))
    task = await desk.sending({FIRST: 1.0})
    await desk.chain.advance()
    await task
    slot = Slot("local", 1, (await desk.chain.metagraph(1)).last_step, str(KEY.ss58_address))
    desk.database.execute("DELETE FROM attempts")
    desk.database.execute("UPDATE vectors SET status = 'intended'")
    revealer = Revealer(desk.chain, KEY, 1, desk.journal, "local")
    assert await revealer.keep(await desk.chain.metagraph(1)) == 1
    assert [attempt.outcome for attempt in desk.journal.attempts(slot)] == ["promised"]
    await desk.chain.advance()
    await desk.watch.start(desk.chain, await desk.chain.metagraph(1))
    desk.watch.check(await desk.chain.metagraph(1))
