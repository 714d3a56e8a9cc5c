"""Following a chain: the newest block, and a metagraph that is never older than asked for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from ranvier.chain import Block, ChainClient, ChainError, Metagraph
from ranvier.protocol import Standing, Target
from ranvier.subnets import Peer

READ_SECONDS: Final = 20.0
"""Deadline of one reading of the metagraph."""
SILENCE_SECONDS: Final = 60.0
"""Without a block for this long the node is degraded."""
_log = logging.getLogger(__name__)


class Follower:
    """Reads blocks as they come and refreshes the metagraph every ``refresh_blocks``.

    `run` it as a task; `start` must have returned before `metagraph` or `block` is read. A chain that goes away only
    makes the node degraded: the follower reconnects.
    """

    def __init__(self, chain: ChainClient, netuid: int, refresh_blocks: int) -> None:
        self._chain, self._netuid, self._refresh = chain, netuid, refresh_blocks
        self._listeners: list[Callable[[Metagraph], None]] = []
        self._block: Block | None = None
        self._metagraph: Metagraph | None = None
        self._changed = asyncio.Condition()
        self._heard = time.monotonic()
        self._problem = ""

    @property
    def started(self) -> bool:
        """Whether `start` has returned."""
        return self._metagraph is not None

    @property
    def block(self) -> Block:
        """The newest block."""
        assert self._block is not None
        return self._block

    @property
    def metagraph(self) -> Metagraph:
        """The last one that was read."""
        assert self._metagraph is not None
        return self._metagraph

    @property
    def degraded(self) -> str:
        """Why what is known may be stale; empty if it is not."""
        silence = time.monotonic() - self._heard
        if silence > SILENCE_SECONDS:
            return f"no block for {silence:.0f} s"
        return self._problem

    def listen(self, listener: Callable[[Metagraph], None]) -> None:
        """Call ``listener`` with every metagraph that is read from now on."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Read block and metagraph once; raises `ChainError`."""
        self._block = await self._chain.block()
        self._heard = time.monotonic()
        await self.refresh()

    async def refresh(self) -> Metagraph:
        """Read the metagraph now; raises `ChainError`."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                self._metagraph = await self._chain.metagraph(self._netuid)
        except TimeoutError as error:
            raise ChainError(
                f"the metagraph of subnet {self._netuid} did not come in {READ_SECONDS:g} s"
            ) from error
        for listener in self._listeners:
            listener(self._metagraph)
        return self._metagraph

    async def run(self) -> None:
        """Follow until cancelled."""
        async for block in self._chain.blocks(self.block.number):
            self._heard = time.monotonic()
            async with self._changed:
                self._block = block
                self._changed.notify_all()
            if block.number - self.metagraph.block >= self._refresh:
                await self._try_refresh()

    async def next_block(self, after: int) -> Block:
        """The newest block once it is later than ``after``."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.block.number > after)
        return self.block

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
            self._problem = ""
        except ChainError as error:
            self._problem = f"metagraph of block {self.metagraph.block}: {error}"
            _log.warning("the metagraph could not be refreshed: %s", error)


def standings(metagraph: Metagraph) -> dict[str, Standing]:
    """What a door needs, by hotkey."""
    return {
        neuron.hotkey: Standing(neuron.uid, neuron.stake, neuron.validator_permit)
        for neuron in metagraph.neurons
    }


def peers(metagraph: Metagraph, own: str) -> Sequence[Peer]:
    """Everybody else who published an axon, by uid."""
    return tuple(
        Peer(neuron.uid, neuron.hotkey, Target(neuron.hotkey, neuron.axon.ip, neuron.axon.port))
        for neuron in metagraph.neurons
        if neuron.axon is not None and neuron.hotkey != own
    )
