"""Following a chain: the newest block, and a metagraph that is never older than asked for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from ranvier.chain import Block, ChainClient, ChainError, Metagraph, Neuron
from ranvier.neurons.metrics import Distribution
from ranvier.protocol import Standing, Target
from ranvier.subnets import Peer

READ_SECONDS: Final = 20.0
"""Deadline of one reading of the metagraph."""
SILENT_BLOCKS: Final = 3
"""Without a block for so many block times the node is degraded, and the chain is asked anew."""
LEAST_SILENCE: Final = 2.0
"""Seconds that are no silence yet, however fast the blocks: a busy machine may take that long."""
USUAL_BLOCK_TIME: Final = 12.0
"""Until the chain has said its own."""
_log = logging.getLogger(__name__)


class Follower:
    """Reads blocks as they come and refreshes the metagraph every ``refresh_blocks``.

    `run` it as a task; `start` must have returned before `metagraph` or `block` is read. Whatever the chain does
    meanwhile (refuse, stay silent, answer rubbish) only makes the node degraded: the follower asks again.
    """

    def __init__(self, chain: ChainClient, netuid: int, refresh_blocks: int) -> None:
        self._chain, self._netuid, self._refresh = chain, netuid, refresh_blocks
        self._listeners: list[Callable[[Metagraph], None]] = []
        self._block: Block | None = None
        self._metagraph: Metagraph | None = None
        self._changed = asyncio.Condition()
        self._heard = 0.0
        self._block_time = USUAL_BLOCK_TIME
        self._problem = ""
        self._stale = ""
        self.failures = 0
        """Readings that failed since the start."""
        self.readings = Distribution()
        """Seconds of each reading of the metagraph, failed ones among them."""

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
    def block_time(self) -> float:
        """Seconds between two blocks, as the chain means them to be."""
        return self._block_time

    @property
    def silence(self) -> float:
        """Seconds since a block was heard of."""
        return asyncio.get_running_loop().time() - self._heard if self.started else 0.0

    @property
    def degraded(self) -> str:
        """Why what is known may be stale; empty if it is not."""
        if not self.started:
            return "the chain was not read yet"
        if self.silence > self._patience:
            return f"no block for {self.silence:.0f} s" + (f": {self._problem}" if self._problem else "")
        return self._problem or self._stale

    def own(self, hotkey: str) -> Neuron | None:
        """The neuron of a hotkey in the newest metagraph; None before the start, too."""
        return self._metagraph.by_hotkey(hotkey) if self._metagraph is not None else None

    def figures(self) -> dict[str, float]:
        """What every node shows of the chain at /metrics."""
        if not self.started:
            return {"chain_failures_total": float(self.failures)}
        return {
            "block": float(self.block.number),
            "block_age_seconds": self.silence,
            "metagraph_age_blocks": float(self.block.number - self.metagraph.block),
            "chain_failures_total": float(self.failures),
        }

    def listen(self, listener: Callable[[Metagraph], None]) -> None:
        """Call ``listener`` with every metagraph that is read from now on."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Read block time, block and metagraph once; raises `ChainError`."""
        self._block_time = await self._chain.block_time()
        self._block = await self._chain.block()
        self._heard = asyncio.get_running_loop().time()
        await self.refresh()

    async def refresh(self) -> Metagraph:
        """Read the metagraph now; raises `ChainError`."""
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(READ_SECONDS):
                self._metagraph = await self._chain.metagraph(self._netuid)
        except TimeoutError as error:
            self.failures += 1
            raise ChainError(
                f"the metagraph of subnet {self._netuid} did not come in {READ_SECONDS:g} s"
            ) from error
        except ChainError:
            self.failures += 1
            raise
        finally:
            self.readings.observe(asyncio.get_running_loop().time() - started)
        self._stale = ""
        for listener in self._listeners:
            listener(self._metagraph)
        return self._metagraph

    async def run(self) -> None:
        """Follow until cancelled. What another chain at the same endpoint says is not taken in, and degrades."""
        patience = self._patience
        while True:
            try:
                await self._listen(patience)
            except ChainError as error:
                await self._trouble(f"blocks cannot be read: {error}")
            # A chain that answers makes a block soon; of one that did not, the blocks that were missed come at once.
            patience = self._glance
            try:
                await self._ask()
                patience = max(1.5 * self._block_time, LEAST_SILENCE)
            except ChainError as error:
                await self._trouble(f"blocks cannot be read: {error}")

    async def next_block(self, after: int) -> Block:
        """The newest block once it is later than ``after``."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.block.number > after)
        return self.block

    async def _listen(self, patience: float) -> None:
        """Take in blocks until they cease; the subscription may be half dead while the connection is up."""
        async with contextlib.aclosing(self._blocks()) as blocks:
            while True:
                try:
                    async with asyncio.timeout(patience):
                        block = await anext(blocks)
                except (TimeoutError, StopAsyncIteration):
                    return
                self._problem, patience = "", self._patience
                await self._hear(block)

    async def _ask(self) -> None:
        """Ask for the newest block where the chain does not tell of it; raises `ChainError`."""
        block = await self._chain.block()
        if block.number > self.block.number:
            self._problem = "the chain does not tell of new blocks, and is asked for them"
            await self._hear(block)
        elif self.silence > self._patience:
            self._problem = "the chain answers, and makes none"

    async def _trouble(self, problem: str) -> None:
        self.failures += 1
        if problem != self._problem:
            _log.warning("%s; asking again", problem)
        self._problem = problem
        await asyncio.sleep(self._glance / 2)

    async def _hear(self, block: Block) -> None:
        back, self._heard = self.silence > self._patience, asyncio.get_running_loop().time()
        if back:
            # Whoever waits for this block decides by the metagraph, and an epoch may have passed.
            await self._try_refresh()
        async with self._changed:
            self._block = block
            self._changed.notify_all()
        if block.number - self.metagraph.block >= self._refresh:
            await self._try_refresh()

    async def _blocks(self) -> AsyncGenerator[Block, None]:
        blocks = self._chain.blocks(self.block.number)
        try:
            async for block in blocks:
                yield block
        finally:
            if isinstance(blocks, AsyncGenerator):
                await blocks.aclose()

    @property
    def _patience(self) -> float:
        return max(SILENT_BLOCKS * self._block_time, LEAST_SILENCE)

    @property
    def _glance(self) -> float:
        """Seconds for a first word of a chain that was silent: it is to be back within two blocks of its return."""
        return max(self._block_time / 2, LEAST_SILENCE / 2)

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except ChainError as error:
            self._stale = f"metagraph of block {self.metagraph.block}: {error}"
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
