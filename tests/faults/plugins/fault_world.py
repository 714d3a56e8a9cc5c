"""A chain, a miner and a validator in one simulated loop; the nodes reach the chain through a `FaultProxy` only."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from busy_loop import BusyLoop
from fault_proxy import FaultProxy, proxied

from ranvier.chain import (
    RAO,
    GenesisNeuron,
    GenesisSubnet,
    Wallet,
    local_genesis,
    local_hyperparameters,
    views,
)
from ranvier.chain.local import LocalChain
from ranvier.chain.models import Metagraph
from ranvier.chain.server import Running, running
from ranvier.neurons.config import DoorSettings, MinerSettings, Network, ValidatorSettings
from ranvier.neurons.health import HealthServer
from ranvier.neurons.miner import MinerNode
from ranvier.neurons.validator import ValidatorNode
from ranvier.subnets import load_subnet

sys.path.insert(0, str(Path(__file__).parents[2] / "neurons" / "plugins"))

BLOCK = 12.0
TEMPO = 20
SUBNET = "sums:SumSubnet"


@dataclass
class FaultWorld:
    """`chain` is the chain itself, past every fault."""

    chain: Running
    proxy: FaultProxy
    validator: str
    miner: str
    port: int
    session: aiohttp.ClientSession
    work: list[asyncio.Task[None]]
    """The chain, the miner, the validator."""
    stop: asyncio.Event
    """Ends the nodes, as SIGTERM does."""

    @property
    def head(self) -> int:
        return self.chain.node.head.number

    async def metagraph(self) -> Metagraph:
        return await self.chain.node.read(lambda state: views.metagraph(state, 1))

    async def updated(self) -> int:
        """The block of the validator's newest weights."""
        neuron = (await self.metagraph()).by_hotkey(self.validator)
        assert neuron is not None
        return neuron.last_update

    async def block_of_epoch(self) -> int:
        metagraph = await self.metagraph()
        return metagraph.block - metagraph.last_step

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return response.status, await response.text()

    async def health(self) -> tuple[int, dict[str, list[str]]]:
        """The status, and the reasons by role."""
        async with self.session.get(f"http://127.0.0.1:{self.port}/health") as response:
            nodes = (await response.json())["nodes"]
            return response.status, {node["role"]: node["degraded"] for node in nodes}

    async def until(self, condition: Callable[[], Any], blocks: float) -> Any:
        """Wait for a condition; give up after so many block times, which is simulated time."""
        for _ in range(int(blocks * BLOCK)):
            assert not any(task.done() for task in self.work), self.work
            found = await condition()
            if found:
                return found
            await asyncio.sleep(1.0)
        raise AssertionError(f"not within {blocks} blocks; now at {self.head}: {await self.health()}")


@asynccontextmanager
async def fault_world(folder: Path, **hyperparameters: Any) -> AsyncIterator[FaultWorld]:
    wallets = {name: Wallet.create_plain("owner", name, folder / "wallets") for name in ("v0", "m0")}
    cold = wallets["v0"].coldkey_address()
    neurons = tuple(
        GenesisNeuron(hotkey=wallet.hotkey_address(), coldkey=cold, stake=stake * RAO)
        for wallet, stake in zip(wallets.values(), (1000, 0), strict=True)
    )
    settings = local_hyperparameters(**{"tempo": TEMPO, "weights_rate_limit": 0, **hyperparameters})
    subnet = GenesisSubnet(name="sums", hyperparameters=settings, neurons=neurons)
    genesis = local_genesis([subnet], block_time=BLOCK, balances={cold: 1000 * RAO})
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(running(folder / "chain", genesis))
        proxy = await stack.enter_async_context(proxied(chain.port, genesis.hash()))
        clients = [await stack.enter_async_context(LocalChain(proxy.endpoint)) for _ in wallets]
        network = Network("local", proxy.endpoint)
        code = load_subnet(SUBNET)
        common = {"subnet": SUBNET, "netuid": 1, "state": str(folder / "nodes")}
        nodes = (
            MinerNode(
                MinerSettings(**common, door=DoorSettings(minimum_stake=100.0)),
                *(network, clients[0], wallets["m0"].load_hotkey(), code, code.miner),
            ),
            ValidatorNode(
                ValidatorSettings(**common, round_blocks=3),
                *(network, clients[1], wallets["v0"].load_hotkey(), code),
            ),
        )
        server = await stack.enter_async_context(HealthServer(nodes, "127.0.0.1", 0))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        stop = asyncio.Event()
        work = [asyncio.create_task(chain.node.run())]
        work += [asyncio.create_task(node.run(stop)) for node in nodes]
        v0, m0 = (wallet.hotkey_address() for wallet in wallets.values())
        try:
            yield FaultWorld(chain, proxy, v0, m0, server.port, session, work, stop)
            assert stop.is_set() or not any(task.done() for task in work), work
        finally:
            stop.set()
            done = await asyncio.gather(*work[1:], return_exceptions=True)
            work[0].cancel()
            await asyncio.gather(work[0], return_exceptions=True)
        assert done == [None, None], done


def play(scene: Callable[[FaultWorld], Any], folder: Path, **hyperparameters: Any) -> float:
    """Play a scene in simulated time; returns for how many real seconds the loop was held at most."""

    async def staged() -> None:
        async with fault_world(folder, **hyperparameters) as world:
            await scene(world)

    loop = BusyLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(staged())
        return loop.longest
