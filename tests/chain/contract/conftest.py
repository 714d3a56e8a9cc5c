"""One chain, and clients of every back end in front of it."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ranvier.chain import Keypair
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.local import LocalChain
from ranvier.chain.server import running

SDK = importlib.util.find_spec("bittensor") is not None
BACK_ENDS = (
    "local",
    "embedded",
    pytest.param("subtensor", marks=pytest.mark.subtensor),
    pytest.param("subtensor-2025", marks=pytest.mark.subtensor),
)


OURS = frozenset({"local", "embedded"})
"""Back ends for chains of ours."""


@dataclass
class Contract:
    """A chain that makes blocks by itself, and one client under test."""

    name: str
    client: Any
    behind: Any
    genesis: Any
    opened: list[Any] = field(default_factory=list)
    """Substrates, for the back end that has them."""

    @property
    def is_local(self) -> bool:
        return self.name in OURS

    async def submit(self, call: Any, who: str, **options: Any) -> Any:
        return await self.client.submit(call, key(who), **options)

    async def until(self, block: int) -> None:
        """Wait for a block."""
        async for found in self.behind.blocks((await self.behind.block()).number - 1):
            if found.number >= block:
                return


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


Opener = Callable[..., AbstractAsyncContextManager[Contract]]


@pytest.fixture(params=BACK_ENDS)
def back_end(request: pytest.FixtureRequest) -> str:
    if request.param not in OURS and not SDK:
        pytest.skip("the official SDK is not installed")
    return str(request.param)


@pytest.fixture
def open_contract(
    back_end: str, make_genesis: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Opener:
    """Opens the chain with other hyperparameters."""
    monkeypatch.setenv("HOME", str(tmp_path))

    @asynccontextmanager
    async def open_it(**changes: Any) -> AsyncIterator[Contract]:
        clock = "manual" if back_end == "embedded" else "wall"
        genesis = make_genesis(**{"clock": clock, "block_time": 0.05, "subnets": 2, **changes})
        if back_end == "embedded":
            async with EmbeddedChain(genesis, tmp_path / "chain") as embedded, driven(embedded):
                yield Contract(back_end, embedded, embedded, genesis)
            return
        async with running(tmp_path / "chain", genesis) as server, LocalChain(server.endpoint) as behind:
            blocks = asyncio.ensure_future(server.node.run())
            contract = Contract(back_end, None, behind, genesis)
            contract.client = _client(back_end, server.endpoint, contract.opened)
            try:
                yield contract
            finally:
                await contract.client.close()
                blocks.cancel()
                with suppress(asyncio.CancelledError):
                    await blocks

    return open_it


@asynccontextmanager
async def driven(chain: EmbeddedChain) -> AsyncIterator[None]:
    """Somebody who makes a block whenever one is due."""

    async def drive() -> None:
        while True:
            await asyncio.sleep(await chain.block_time())
            await chain.advance()

    task = asyncio.create_task(drive())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _client(back_end: str, endpoint: str, opened: list[Any]) -> Any:
    if back_end == "local":
        return LocalChain(endpoint)
    from local_substrate import OLDER, LocalSubstrate

    from ranvier.chain.subtensor import SubtensorChain

    def opener() -> Any:
        missing = OLDER if back_end.endswith("2025") else frozenset()
        opened.append(LocalSubstrate(LocalChain(endpoint), missing))
        return opened[-1]

    return SubtensorChain("ws://127.0.0.1:1", opener=opener, deadline=10.0)


@pytest.fixture
async def contract(open_contract: Opener) -> AsyncIterator[Contract]:
    async with open_contract() as chain:
        yield chain
