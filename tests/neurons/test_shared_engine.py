"""Two miners, two hotkeys, one engine process over its socket: both are served, and neither starves the other."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from neurons_world import going, until

from ranvier.engines import EngineClient, ScoreRequest
from ranvier.engines.store import Store
from ranvier.neurons.config import DoorSettings, MinerSettings
from ranvier.neurons.miner import MinerNode
from ranvier.protocol import AddressPolicy, Answered, Dendrite, Target
from ranvier.subnets import load_subnet
from ranvier.subnets.text.miner import messages, sampling
from ranvier.subnets.text.synapse import TextGeneration

pytestmark = [pytest.mark.slow, pytest.mark.models]
FLOOD, FEW = 24, 4


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    if not Store().has("smollm2"):
        pytest.skip("run `ranvier models prepare` first")
    process = subprocess.Popen(
        [sys.executable, "-m", "ranvier.neurons.cli", "engine", "--model", "text=smollm2", "--batch", "2",
         "--threads", "1", "--listen", f"unix:{tmp_path}/engine.sock"],
        stdout=subprocess.PIPE, text=True, env=os.environ.copy(),
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    yield line.removeprefix("engine at ").strip()
    process.terminate()
    assert process.wait(40) == 0
    process.stdout.close()


def miner(world: Any, chain: Any, name: str, engine: EngineClient) -> MinerNode:
    subnet = load_subnet("text")
    settings = MinerSettings(
        subnet="text", netuid=1, state=str(world.folder / "miners"), door=DoorSettings(minimum_stake=100.0),
        refresh_blocks=2, max_concurrent=FLOOD,
    )  # fmt: skip
    return MinerNode(settings, world.network, chain, world.key(name), subnet, subnet.miner, engine=engine)


def asked(number: int) -> TextGeneration:
    return TextGeneration(prompt=f"Name {number} birds.", challenge=f"{number:064x}", max_tokens=16)


@pytest.mark.timeout(300)
async def test_two_miners_share_an_engine_and_a_flood_of_one_costs_the_other_little(
    world: Any, endpoint: str
) -> None:
    done: list[str] = []

    async def ask(dendrite: Dendrite, node: MinerNode, number: int) -> Any:
        target = Target(node.key.ss58_address, "127.0.0.1", node.axon.port)
        outcome = await dendrite.ask(target, asked(number), deadline=120.0)
        done.append(node.key.ss58_address)
        return outcome

    async with (
        world.chain() as chain,
        EngineClient(endpoint) as first,
        EngineClient(endpoint) as second,
        Dendrite(world.key("v0"), addresses=AddressPolicy.local()) as one,
        Dendrite(world.key("v1"), addresses=AddressPolicy.local()) as other,
    ):
        nodes = [miner(world, chain, "m0", first), miner(world, chain, "m1", second)]
        async with going(*nodes):
            for node in nodes:
                hotkey = node.key.ss58_address
                await until(lambda hotkey=hotkey: _served(chain, hotkey))
            flood = asyncio.gather(*(ask(one, nodes[0], number) for number in range(FLOOD)))
            await until(lambda: len(done) >= 2)
            few = await asyncio.gather(*(ask(other, nodes[1], number) for number in range(FEW)))
            before = done.count(nodes[0].key.ss58_address)
            flooded = await flood
        tokens = [outcome.reply.token_ids for outcome in few]
        own, foreign = [
            await _agreeing(first, world.key(name), world.key("v1"), tokens) for name in ("m1", "m0")
        ]
        (worker,) = await first.state()
    assert all(isinstance(outcome, Answered) for outcome in (*few, *flooded))
    assert own > 0.9 > foreign, "each under its own miner's seed"
    assert before < FLOOD - 2 * FEW, "they did not wait for the flood to end"
    assert worker.models == ("text=smollm2",)
    assert worker.devices[0].device == "cpu"


async def _served(chain: Any, hotkey: str) -> bool:
    return (await chain.metagraph(1)).by_hotkey(hotkey).axon is not None


async def _agreeing(engine: EngineClient, miner: Any, caller: Any, tokens: list[tuple[int, ...]]) -> float:
    """The share of tokens that this miner's noise gives."""
    requests = [
        ScoreRequest(messages(request), sampling(request, miner.ss58_address, caller.ss58_address), row)
        for request, row in zip(map(asked, range(FEW)), tokens, strict=True)
    ]
    found = [
        expected == token
        for one, row in zip(await engine.score(requests), tokens, strict=True)
        for expected, token in zip(one.expected, row, strict=True)
    ]
    return sum(found) / len(found)
