"""What the tests of the neurons share: a chain process, wallets on disk, nodes over loopback."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranvier.chain import (
    RAO,
    GenesisNeuron,
    GenesisSubnet,
    Keypair,
    Wallet,
    local_genesis,
    local_hyperparameters,
)
from ranvier.chain.local import LocalChain
from ranvier.neurons.config import DoorSettings, MinerSettings, Network, ValidatorSettings
from ranvier.neurons.miner import MinerNode
from ranvier.neurons.validator import ValidatorNode
from ranvier.subnets import load_subnet

PLUGINS = Path(__file__).parent
STAKES = {"v0": 1000, "v1": 700, "m0": 0, "m1": 0, "m2": 0}


@dataclass
class World:
    """A chain in a process of its own, and everybody's wallets."""

    folder: Path
    endpoint: str
    process: subprocess.Popen[str]

    @property
    def network(self) -> Network:
        return Network("local", self.endpoint)

    @property
    def wallets(self) -> Path:
        return self.folder / "wallets"

    def wallet(self, name: str) -> Wallet:
        return Wallet("owner", name, self.wallets)

    def key(self, name: str) -> Keypair:
        return self.wallet(name).load_hotkey()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(15)
        self.process.stdout.close()

    def chain(self) -> LocalChain:
        return LocalChain(self.endpoint)

    def environment(self) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("RANVIER_")},
            # What the tests import is what their processes import.
            "PYTHONPATH": os.pathsep.join(filter(None, (str(PLUGINS), os.environ.get("PYTHONPATH")))),
            "RANVIER_HOME": str(self.folder / "home"),
            "PYTHONUNBUFFERED": "1",
        }

    def common(self, hotkey: str, subnet: str = "sums:SumSubnet") -> list[str]:
        return [
            *("--network", self.endpoint, "--netuid", "1", "--subnet", subnet),
            *("--wallet", "owner", "--hotkey", hotkey, "--wallets", str(self.wallets)),
            *("--state", str(self.folder / "nodes")),
        ]

    def run(
        self, *arguments: str, timeout: float = 60, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`ranvier ARGUMENTS` as a process, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "ranvier.neurons.cli", *arguments],
            capture_output=True, text=True, timeout=timeout, env={**self.environment(), **environment},
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self, *arguments: str, log: str = "node.log") -> subprocess.Popen[str]:
        """`ranvier ARGUMENTS` as a process that goes on."""
        with (self.folder / log).open("a") as sink:
            return subprocess.Popen(
                [sys.executable, "-m", "ranvier.neurons.cli", *arguments],
                stdout=sink, stderr=sink, env=self.environment(), stdin=subprocess.DEVNULL, text=True,
            )  # fmt: skip


def make_world(folder: Path, *, block_time: float = 0.25, **changes: Any) -> World:
    """Start a chain process; keywords are hyperparameters. End it with `World.stop`."""
    world = World(folder, "", None)  # type: ignore[arg-type]
    for name in (*STAKES, "stranger"):
        Wallet.create_plain("owner", name, world.wallets)
    cold = world.wallet("v0").coldkey_address()
    neurons = tuple(
        GenesisNeuron(hotkey=world.wallet(name).hotkey_address(), coldkey=cold, stake=stake * RAO)
        for name, stake in STAKES.items()
    )
    settings = local_hyperparameters(**{"tempo": 12, "weights_rate_limit": 0, **changes})
    subnet = GenesisSubnet(name="sums", hyperparameters=settings, neurons=neurons)
    local_genesis([subnet], block_time=block_time, balances={cold: 1000 * RAO}).write(folder / "genesis.json")
    log = (folder / "chain.log").open("w+")
    process = world.process = subprocess.Popen(
        [sys.executable, "-m", "ranvier.neurons.cli", "chain", "--state", str(folder / "chain"),
         "--genesis", str(folder / "genesis.json"), "--port", "0"],
        stdout=subprocess.PIPE, stderr=log, text=True, env=world.environment(),
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("chain at "), (folder / "chain.log").read_text()
    world.endpoint = line.removeprefix("chain at ").strip()
    log.close()
    return world


def miner_node(world: World, chain: LocalChain, name: str, miner: Any = None, **settings: Any) -> MinerNode:
    subnet = load_subnet("sums:SumSubnet")
    given = MinerSettings(
        **{"subnet": "sums:SumSubnet", "netuid": 1, "state": str(world.folder / "miners"),
           "door": DoorSettings(minimum_stake=100.0), "refresh_blocks": 2, **settings}
    )  # fmt: skip
    return MinerNode(given, world.network, chain, world.key(name), subnet, miner or subnet.miner)


def validator_node(
    world: World, chain: LocalChain, name: str, listeners: Any = (), **settings: Any
) -> ValidatorNode:
    given = ValidatorSettings(
        **{"subnet": "sums:SumSubnet", "netuid": 1, "state": str(world.folder / "nodes"),
           "round_blocks": 3, "refresh_blocks": 2, **settings}
    )  # fmt: skip
    subnet = load_subnet("sums:SumSubnet")
    return ValidatorNode(given, world.network, chain, world.key(name), subnet, listeners=listeners)


@asynccontextmanager
async def going(*nodes: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Nodes as tasks of this process, stopped and awaited at the end."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(node.run(stop)) for node in nodes]
    try:
        yield tasks
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def until(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    """Wait for a condition, polled; awaits it where it is a coroutine function."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        await asyncio.sleep(0.1)
    raise AssertionError("the condition did not come true")
