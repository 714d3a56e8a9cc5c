"""A small chain for the tests: three validators, two miners, one coldkey that owns them, another with money."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ranvier.chain import (
    RAO,
    Genesis,
    GenesisNeuron,
    GenesisSubnet,
    Keypair,
    NetworkParameters,
    local_genesis,
    local_hyperparameters,
    local_network,
)
from ranvier.chain.local import LocalChain
from ranvier.chain.server import Running, running

STAKES = {"v0": 100 * RAO, "v1": 50 * RAO, "v2": 30 * RAO, "m0": 0, "m1": 0}
SERVER = """
import asyncio, pathlib, sys
from ranvier.chain import Genesis
from ranvier.chain.server import serve
folder, genesis, port = sys.argv[1:]
given = Genesis.read(pathlib.Path(genesis)) if genesis else None
def ready(chain):
    draft = pathlib.Path(folder) / "draft"
    draft.write_text(chain.endpoint)
    draft.rename(pathlib.Path(folder) / "endpoint")
asyncio.run(serve(pathlib.Path(folder), given, port=int(port), ready=ready))
"""


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


def make_genesis(**changes: Any) -> Genesis:
    """The small chain; keywords of the genesis, of the network, or hyperparameters of its subnets."""
    direct = {name: changes.pop(name) for name in ("allow_loopback", "history") if name in changes}
    network = {name: changes.pop(name) for name in list(changes) if name in NetworkParameters.model_fields}
    direct["network"] = local_network(**network)
    general = {
        name: changes.pop(name) for name in ("block_time", "clock", "era", "balances") if name in changes
    }
    count = changes.pop("subnets", 1)
    neurons = tuple(
        GenesisNeuron(hotkey=address(name), coldkey=address("cold"), stake=stake)
        for name, stake in STAKES.items()
    )
    settings = local_hyperparameters(**{"tempo": 4, "weights_rate_limit": 0, **changes})
    subnet = GenesisSubnet(name="small", hyperparameters=settings, owner=address("owner"), neurons=neurons)
    money = {address("cold"): 1000 * RAO, address("rich"): 100 * RAO, address("poor"): 1000}
    empty = [GenesisSubnet(name="empty", hyperparameters=settings, emission_share=0)] * (count - 1)
    made = local_genesis([subnet, *empty], **{"clock": "manual", "balances": money, **general})
    return made.model_copy(update=direct)


@dataclass
class ServerProcess:
    """A chain server in a process of its own."""

    folder: Path
    genesis: Path | None
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> str:
        (self.folder / "endpoint").unlink(missing_ok=True)
        arguments = [sys.executable, "-c", SERVER, str(self.folder), str(self.genesis or ""), str(self.port)]
        self.process = subprocess.Popen(arguments, stderr=subprocess.PIPE)
        while not (self.folder / "endpoint").exists():
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            time.sleep(0.02)
        endpoint = (self.folder / "endpoint").read_text()
        self.port = int(endpoint.rsplit(":", 1)[1])
        return endpoint

    def kill(self, how: int = signal.SIGKILL) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        self.process.communicate(timeout=20)
        self.process = None


@pytest.fixture
def chain_process(tmp_path: Path) -> Iterator[Callable[[Genesis], ServerProcess]]:
    started: list[ServerProcess] = []

    def make(genesis: Genesis) -> ServerProcess:
        path = tmp_path / "genesis.json"
        genesis.write(path)
        folder = tmp_path / "chain"
        folder.mkdir(exist_ok=True)
        started.append(ServerProcess(folder, path))
        return started[-1]

    yield make
    for server in started:
        if server.process is not None:
            server.kill()


@dataclass
class Small:
    """A manual chain in this process, over a real socket."""

    server: Running
    client: LocalChain
    folder: Path

    async def submit(self, call: Any, who: str) -> Any:
        """Send, make one block, return the outcome's error name or None."""
        state = await self.client.outcome(await self.client.send(call, key(who)))
        await self.client.advance()
        state = await self.client.outcome(state.call_hash)
        assert state.status == "settled"
        return state.error


Opener = Callable[..., AbstractAsyncContextManager[Small]]


@pytest.fixture
def open_small(tmp_path: Path) -> Opener:
    """Opens the small chain with other settings; `folder` names another place for its state."""

    @asynccontextmanager
    async def open_it(folder: str = "chain", **changes: Any) -> AsyncIterator[Small]:
        genesis = make_genesis(**changes)
        async with running(tmp_path / folder, genesis) as server, LocalChain(server.endpoint) as client:
            yield Small(server, client, tmp_path / folder)

    return open_it


@pytest.fixture
async def small(open_small: Opener) -> AsyncIterator[Small]:
    async with open_small() as chain:
        yield chain


@pytest.fixture(name="make_genesis")
def _make_genesis() -> Callable[..., Genesis]:
    return make_genesis
