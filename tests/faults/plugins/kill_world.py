"""A chain under a manual clock, miners beside it, and a validator process to kill; all that the chain hears is kept."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurons_world import PLUGINS, STAKES, World, going, miner_node
from sums import Sum, SumSubnet

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
from ranvier.chain.node import ChainNode
from ranvier.chain.server import running
from ranvier.protocol import Caller
from ranvier.subnets import Miner

OPEN, HIDDEN = 1, 2
"""netuids: weights in the open, and weights that are promised first."""
TEMPO = 20
PACE = 0.08
"""Seconds between two blocks while the validator is up."""
NODES = """
network = "{endpoint}"
subnet = "mortal:MortalSums"
wallet = "owner"
hotkey = "v0"
wallets = "{wallets}"
state = "{folder}/nodes"
round_blocks = 2
refresh_blocks = 1
weights_after = 0.3
[[nodes]]
netuid = 1
events = "{folder}/events-1.jsonl"
[[nodes]]
netuid = 2
events = "{folder}/events-2.jsonl"
"""


class Shaky(Miner[Sum]):
    """Right in most cases: averages, and so the weights, differ from round to round."""

    async def answer(self, request: Sum, caller: Caller) -> Any:
        return SumSubnet.synapse.Reply(total=request.left + request.right + (random.random() < 0.3))


@dataclass(frozen=True)
class Spoken:
    """One thing that the validator's hotkey said to the chain; ``epoch`` is the block of the last step."""

    netuid: int
    block: int
    epoch: int
    name: str
    said: str
    """The row as stored, or the hash."""
    window: tuple[int, int] = (0, 0)
    """Of a promise: the blocks in which it can be shown."""


@dataclass
class KillWorld:
    """Blocks come by `block` only, and between `tick` and `hush` by themselves."""

    folder: Path
    node: ChainNode
    endpoint: str
    hotkey: str
    spoken: list[Spoken] = field(default_factory=list)
    lives: list[tuple[int, int]] = field(default_factory=list)
    """First and last block that came while a validator was up, life by life."""
    _since: int = 0
    _ticking: asyncio.Event = field(default_factory=asyncio.Event)
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    def state(self, netuid: int) -> Path:
        """The validator's state of one subnet."""
        return self.folder / "nodes" / f"validator-{netuid}-{self.hotkey}.sqlite"

    def events(self, netuid: int) -> Path:
        """What it said of its rounds."""
        return self.folder / f"events-{netuid}.jsonl"

    async def block(self, count: int = 1) -> None:
        """Make blocks and keep what v0 said in them."""
        for _ in range(count):
            async with self._making:
                block = await self.node.make_block()
                await self._listen(block.number)

    def tick(self) -> None:
        """Let blocks come."""
        self._since = self.node.head.number + 1
        self._ticking.set()

    def hush(self) -> None:
        """No more blocks."""
        self._ticking.clear()
        self.lives.append((self._since, self.node.head.number))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._ticking.wait()
            await self.block()
            await asyncio.sleep(PACE)

    async def _listen(self, number: int) -> None:
        for event in await self.node.history(lambda store: store.events(number - 1, 10_000)):
            if event.data.get("hotkey") != self.hotkey or not event.name.startswith("Weights"):
                continue
            netuid = event.data["netuid"]
            graph = await self.node.read(lambda state, netuid=netuid: views.metagraph(state, netuid))
            rows = await self.node.read(lambda state, netuid=netuid: views.weights(state, netuid))
            said = event.data.get("commit_hash") or str(sorted(rows[0].items()))
            window = await self._window(said)
            self.spoken.append(Spoken(netuid, number, graph.last_step, event.name, said, window))

    async def _window(self, said: str) -> tuple[int, int]:
        commits = await self.node.read(lambda state: views.commits(state, HIDDEN, self.hotkey))
        return next(((one.first_reveal, one.last_reveal) for one in commits if one.hash == said), (0, 0))


class Victim:
    """A validator process that validates both subnets with v0.

    ``name`` gives it a folder of its own for state and logs, ``home`` is its RANVIER_HOME: one for each machine.
    """

    def __init__(self, world: KillWorld, name: str = "", home: str = "home", *flags: str) -> None:
        self.folder, self._home, self._flags = world.folder / name, world.folder / home, flags
        self.folder.mkdir(exist_ok=True)
        wallets = world.folder / "wallets"
        table = NODES.format(endpoint=world.endpoint, folder=self.folder, wallets=wallets)
        (self.folder / "nodes.toml").write_text(table)
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the newest process wrote."""
        return self._file.read_text()

    @property
    def ended(self) -> int | None:
        """How the newest process ended; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    @property
    def _file(self) -> Path:
        return self.folder / f"validator-{self._starts}.log"

    def start(self, death: str = "") -> None:
        """A fresh process on the old state."""
        self._starts += 1
        command = ("-m", "ranvier.neurons.cli", "validator", "--config", str(self.folder / "nodes.toml"))
        inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        paths = os.pathsep.join(filter(None, (str(PLUGINS), str(Path(__file__).parent), *inherited)))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RANVIER_")}
        own = {"PYTHONPATH": paths, "RANVIER_HOME": str(self._home), "DEATH": death}
        with self._file.open("wb") as sink:
            self._process = subprocess.Popen(
                [sys.executable, *command, *self._flags],
                stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, env={**kept, **own},
            )  # fmt: skip

    async def up(self) -> bool:
        """Whether it came to work on both subnets; False where it died before."""
        while self.log.count("validating subnet") < 2:
            if self.ended is not None:
                return False
            await asyncio.sleep(0.02)
        return True

    async def dead(self, seconds: float) -> bool:
        """Whether it ended by itself in that time."""
        try:
            async with asyncio.timeout(seconds):
                while self.ended is None:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        return True

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; returns how it ended."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)


@asynccontextmanager
async def kill_world(folder: Path) -> AsyncIterator[KillWorld]:
    """Chain and miners, ready; the clock stands."""
    world = World(folder, "", None)  # type: ignore[arg-type]
    for name in STAKES:
        Wallet.create_plain("owner", name, world.wallets)
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(running(folder / "chain", _genesis(world)))
        world.endpoint = chain.endpoint
        made = KillWorld(folder, chain.node, chain.endpoint, world.key("v0").ss58_address)
        clock = asyncio.create_task(made.run())
        stack.push_async_callback(_ended, clock)
        made.tick()
        client = await stack.enter_async_context(LocalChain(chain.endpoint))
        miners = [
            miner_node(world, client, name, code, netuid=netuid)
            for netuid in (OPEN, HIDDEN)
            for name, code in (("m0", None), ("m1", Shaky), ("m2", Shaky))
        ]
        await stack.enter_async_context(going(*miners))
        await _served(made)
        made.hush()
        yield made
        made.tick()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _genesis(world: World) -> Any:
    cold = world.wallet("v0").coldkey_address()
    neurons = tuple(
        GenesisNeuron(hotkey=world.wallet(name).hotkey_address(), coldkey=cold, stake=stake * RAO)
        for name, stake in STAKES.items()
    )
    subnets = [
        GenesisSubnet(
            name=name,
            hyperparameters=local_hyperparameters(tempo=TEMPO, weights_rate_limit=0, commit_reveal=hidden),
            neurons=neurons,
        )
        for name, hidden in (("open", False), ("hidden", True))
    ]
    return local_genesis(subnets, block_time=12.0, clock="manual", balances={cold: 1000 * RAO})


async def _served(world: KillWorld) -> None:
    while True:
        graphs = [
            await world.node.read(lambda state, netuid=netuid: views.metagraph(state, netuid))
            for netuid in (OPEN, HIDDEN)
        ]
        if all(sum(neuron.axon is not None for neuron in graph.neurons) == 3 for graph in graphs):
            return
        await asyncio.sleep(0.05)
