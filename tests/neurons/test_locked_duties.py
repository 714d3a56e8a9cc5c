"""A validator on a local chain that opens rows by itself: it locks them, reveals nothing, and finds them stored."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bittensor_core import Keypair

from ranvier.chain import (
    RAO,
    Genesis,
    GenesisNeuron,
    GenesisSubnet,
    local_genesis,
    local_hyperparameters,
    local_network,
)
from ranvier.chain.embedded import EmbeddedChain
from ranvier.neurons.duties.revealer import Revealer
from ranvier.neurons.state.database import Database
from ranvier.neurons.state.journal import Form, IntentStatus, Journal, Slot
from ranvier.neurons.weights import Landing, WeightSetter

KEY = Keypair.create_from_uri("//validator")
MINERS = [str(Keypair.create_from_uri(f"//miner{number}").ss58_address) for number in range(2)]


def genesis(era: Any) -> Genesis:
    cold = str(Keypair.create_from_uri("//cold").ss58_address)
    neurons = [GenesisNeuron(hotkey=name, coldkey=cold) for name in MINERS]
    neurons.append(GenesisNeuron(hotkey=str(KEY.ss58_address), coldkey=cold, stake=1000 * RAO))
    settings = local_hyperparameters(tempo=10, weights_rate_limit=3, commit_reveal=True)
    made = local_genesis(
        [GenesisSubnet(name="a", hyperparameters=settings, neurons=tuple(neurons))], clock="manual", era=era
    )
    return made.model_copy(update={"network": local_network(commit_reveal_version=4)})


@pytest.mark.parametrize("era", ["2024", "y2"])
async def test_rows_are_locked_and_opened_without_a_revelation(tmp_path: Path, era: str) -> None:
    async with EmbeddedChain(genesis(era)) as chain:
        with Database(tmp_path / "j.sqlite") as database:
            journal = Journal(database)
            setter = WeightSetter(chain, KEY, 1, journal, network="local")
            revealer = Revealer(chain, KEY, 1, journal, "local")
            await chain.advance(13)
            setting = asyncio.create_task(setter.set({MINERS[0]: 1.0, MINERS[1]: 3.0}))
            while not setting.done():
                await chain.advance()
                await asyncio.sleep(0.01)
            outcome = setting.result()
            assert outcome.landing is Landing.PROMISED
            assert await chain.weights(1) == {}
            slot = Slot("local", 1, outcome.epoch, str(KEY.ss58_address))
            intent = journal.current(slot)
            assert intent is not None
            assert intent.form is Form.TIMED
            (commit,) = await chain.commits(1, str(KEY.ss58_address))
            while await revealer.keep(await chain.metagraph(1)):
                assert chain.height <= commit.first_reveal
                await chain.advance()
            intent = journal.current(slot)
            assert intent is not None
            assert intent.status is IntentStatus.LANDED
        assert (await chain.weights(1))[2] == {0: 21845, 1: 65535}
        events = [event.name for event in await chain.events(0)]
        assert events.count("WeightsLocked") == events.count("WeightsRevealed") == 1
        assert "WeightsCommitted" not in events
