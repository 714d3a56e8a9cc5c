"""The client of a Subtensor chain, through the official SDK."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from ranvier.chain.addresses import is_address
from ranvier.chain.calls import Call, CommitTimelocked, Register
from ranvier.chain.client import Keypair
from ranvier.chain.earned import add_up
from ranvier.chain.errors import BadReply, CallRefused, ChainError, ChainTimeout, NotFound, WrongChain
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.models import (
    Ability,
    Block,
    Earned,
    Epoch,
    Event,
    Metagraph,
    Receipt,
    SubnetInfo,
    Support,
    WeightCommit,
)
from ranvier.chain.subtensor import decode
from ranvier.chain.subtensor.connection import (
    LONGEST_PAUSE,
    Connection,
    Opener,
    load_sdk,
    pause_after,
)
from ranvier.chain.subtensor.plans import MODULE, RawCall, plans_for, sample_plans
from ranvier.chain.subtensor.readings import (
    all_subnets,
    block_at,
    composes,
    events_of,
    or_else,
    shielded,
)
from ranvier.chain.subtensor.refusals import failure, from_error
from ranvier.chain.subtensor.timelock import seal

T = TypeVar("T")
MOST_BLOCKS: Final = 256
"""Blocks back to which events are read: ordinary nodes forget older states."""
SILENT_BLOCKS: Final = 3
"""Without a block for so many block times a connection counts as dead."""
_FOR_EVER: Final = 1e9
_LONGEST_LIFE: Final = 4096
_log = logging.getLogger(__name__)


class SubtensorChain:
    """`ChainClient` for ``finney``, ``test``, ``archive``, ``devnet`` and any ``ws://`` or ``wss://`` address.

    `deadline` is the default for reads, in seconds. `opener` makes a ``bittensor.Substrate`` instead of the SDK's own
    RPC connection. docs/chain-back-ends.md lists where this back end differs from the local one.
    """

    def __init__(self, endpoint: str, *, deadline: float = 30.0, opener: Opener | None = None) -> None:
        self._endpoint, self._deadline = endpoint, deadline
        self._connection = Connection(endpoint, opener)

    @property
    def endpoint(self) -> str:
        """The network's name, or its address."""
        return self._endpoint

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def block(self) -> Block:
        """The newest block: included, not yet final."""

        async def read(substrate: Any) -> Block:
            return await block_at(substrate, await substrate.block_number())

        return await self._read("the newest block", read)

    async def blocks(self, after: int | None = None) -> AsyncIterator[Block]:
        """Every block after number `after`, none left out; None starts with the newest.

        A connection that stays silent for three block times is replaced.
        """
        last = (await self.block()).number - 1 if after is None else after
        failures = 0
        while True:
            try:
                async with contextlib.aclosing(self._heads()) as heads:
                    async for head in heads:
                        for number in range(last + 1, head + 1):
                            yield await self._block(number)
                            last, failures = number, 0
            except WrongChain:
                raise
            except ChainError as error:
                if self._connection.closed or not self._connection.opened:
                    raise
                _log.warning("waiting for the chain: %s", error)
                await asyncio.sleep(min(pause_after(failures), self._connection.longest_pause))
                failures += 1

    async def metagraph(self, netuid: int) -> Metagraph:
        """All neurons of a subnet at the newest block."""

        async def read(substrate: Any) -> Metagraph:
            block = await block_at(substrate, await substrate.block_number())
            graph, trusts = await asyncio.gather(
                substrate.runtime_call("SubnetInfoRuntimeApi", "get_metagraph", [netuid], block.hash),
                or_else(None, substrate.query(MODULE, "ValidatorTrust", [netuid], block.hash)),
            )
            if not isinstance(graph, dict):
                raise NotFound(f"there is no subnet {netuid} on {self._endpoint}")
            return decode.metagraph(graph, block, trusts or ())

        return await self._read(f"the metagraph of subnet {netuid}", read)

    async def hyperparameters(self, netuid: int) -> Hyperparameters:
        """The settings of a subnet, read from storage one by one; what this chain lacks keeps its default."""

        async def read(substrate: Any) -> Hyperparameters:
            await self._require(substrate, netuid)
            own = [
                or_else(None, substrate.query(MODULE, item, [netuid])) for item in decode.SETTINGS.values()
            ]
            shared = [
                or_else(None, substrate.query(MODULE, item)) for item in decode.GLOBAL_SETTINGS.values()
            ]
            names = [*decode.SETTINGS, *decode.GLOBAL_SETTINGS]
            found = await asyncio.gather(*own, *shared)
            return decode.hyperparameters(dict(zip(names, found, strict=True)))

        return await self._read(f"the hyperparameters of subnet {netuid}", read)

    async def subnets(self) -> tuple[SubnetInfo, ...]:
        """All subnets but the root, by netuid."""
        return await self._read("the subnets", all_subnets)

    async def weights(self, netuid: int) -> dict[int, dict[int, int]]:
        """Weight rows as stored."""
        return await self._matrix("Weights", netuid)

    async def bonds(self, netuid: int) -> dict[int, dict[int, int]]:
        """Bond rows as stored."""
        return await self._matrix("Bonds", netuid)

    async def balance(self, ss58: str) -> int:
        """Free rao of a coldkey."""

        async def read(substrate: Any) -> int:
            account = await substrate.query("System", "Account", [_address(ss58)])
            return int(account["data"]["free"]) if account else 0

        return await self._read("a balance", read)

    async def stake(self, hotkey: str) -> int:
        """What is staked to a hotkey: rao of TAO on the root and of alpha elsewhere, added up as numbers."""

        async def read(substrate: Any) -> int:
            found = await substrate.query_map(MODULE, "TotalHotkeyAlpha", [_address(hotkey)])
            return sum(int(amount) for _, amount in found)

        return await self._read("a stake", read)

    async def events(self, since_block: int) -> tuple[Event, ...]:
        """Events of this module in blocks after `since_block`; raises `BadReply` beyond `MOST_BLOCKS` blocks."""
        head = (await self.block()).number
        if head - since_block > MOST_BLOCKS:
            raise BadReply(
                f"events of {head - since_block} blocks were asked for; at most {MOST_BLOCKS} are kept"
            )
        found: list[Event] = []
        for number in range(since_block + 1, head + 1):
            found += await self._events(number)
        return tuple(found)

    async def epochs(self, netuid: int, since_block: int) -> tuple[Epoch, ...]:
        """The newest epoch alone, if it is after `since_block`: the chain keeps no older ones."""
        graph = await self.metagraph(netuid)
        return (decode.newest_epoch(graph),) if graph.last_step > since_block else ()

    async def emissions(self, netuid: int, since_block: int) -> dict[str, Earned]:
        """Of the newest epoch, as `epochs`."""
        return add_up(await self.epochs(netuid, since_block))

    async def issuance(self) -> int:
        """All rao in existence."""

        async def read(substrate: Any) -> int:
            return int(await substrate.query(MODULE, "TotalIssuance"))

        return await self._read("the issuance", read)

    async def commits(self, netuid: int, hotkey: str) -> tuple[WeightCommit, ...]:
        """Promised weights of a hotkey; those that the chain opens by itself have an empty hash."""

        async def read(substrate: Any) -> tuple[WeightCommit, ...]:
            await self._require(substrate, netuid)
            hashed, locked, head = await asyncio.gather(
                or_else((), substrate.query(MODULE, "WeightCommits", [netuid, _address(hotkey)])),
                or_else((), substrate.query_map(MODULE, "TimelockedWeightCommits", [netuid])),
                substrate.block_number(),
            )
            open_ones = (commit for commit in decode.promises(hashed) if commit.last_reveal > head)
            return (*open_ones, *decode.locked(locked, hotkey))

        return await self._read("promised weights", read)

    async def genesis(self) -> str:
        """The hash of block 0."""
        if self._connection.genesis is None:
            await self._read("the genesis", lambda substrate: substrate.block_hash(0))
        return str(self._connection.genesis)

    async def block_time(self) -> float:
        """Seconds between two blocks."""
        seconds = float(await self._read("the block time", lambda substrate: substrate.block_time()))
        self._connection.longest_pause = min(max(seconds, 0.5), LONGEST_PAUSE)
        return seconds

    async def supports(self, call_type: type[Call]) -> Support:
        """Looked up in the live metadata: each plan is composed and thrown away, nothing is signed or sent."""

        async def probe(substrate: Any) -> Support:
            plans = sample_plans(call_type)
            if not plans:
                return Support(Ability.IMPOSSIBLE, f"Subtensor chains have no {call_type.__name__}")
            for place, plan in enumerate(plans):
                if await composes(substrate, plan):
                    hidden = call_type is Register and await shielded(substrate)
                    detail = f"{plan.name}, encrypted" if hidden else plan.name
                    return Support(Ability.FALLBACK if place else Ability.WORKS, detail)
            missing = " nor ".join(plan.name for plan in plans)
            return Support(Ability.IMPOSSIBLE, f"this chain has no {missing}")

        return await self._read(f"the metadata for {call_type.__name__}", probe)

    async def submit(self, call: Call, signer: Keypair, *, deadline: float = 30.0) -> Receipt:
        """Sign and send by the first plan that the chain offers; returns once a block holds it (not yet final)."""

        async def send(client: Any) -> Any:
            plan = await self._choose(client, call, signer)
            if isinstance(call, Register) and await shielded(client._substrate):  # noqa: SLF001 - as below
                # Its era is the SDK's own: short, for the node's key changes with the blocks.
                return await client.submit_call(
                    plan.as_tuple(), signer, shielded=True, wait_for_finalization=False
                )
            life = _life(deadline, await self.block_time())
            return await client.submit_call(plan.as_tuple(), signer, period=life, wait_for_finalization=False)

        sdk = load_sdk()
        try:
            result = await self._connection.use(call.call, send, deadline)
        except asyncio.CancelledError:
            # The SDK counts the number of a call that was never sent, and all later ones would wait for it.
            self._connection.drop()
            raise
        except BadReply as error:
            # The SDK raises what it can tell before sending.
            cause = error.__cause__
            if isinstance(cause, sdk.ChainError) and cause.name:
                raise from_error(cause, cause.message, call.call, where="before it was sent") from cause
            raise
        if not result.success:
            raise failure(result, call.call)
        return await self._receipt(result)

    async def _receipt(self, result: Any) -> Receipt:
        number, _, place = (result.extrinsic_id or "").partition("-")
        if not number:
            number = (await self.block()).number
        return Receipt(int(number), f"{result.block_hash or ''}-{int(place or 0)}")

    async def _choose(self, client: Any, call: Call, signer: Keypair) -> RawCall:
        substrate = client._substrate  # noqa: SLF001 - the SDK offers the seam, and no name for it
        sealed = (
            await seal(substrate, call, signer.ss58_address) if isinstance(call, CommitTimelocked) else None
        )
        plans = plans_for(call, sealed)
        if not plans:
            raise CallRefused(
                "CallDisabled", "Subtensor chains have no such call (refused before it was sent)", call.call
            )
        for plan in plans:
            if await composes(substrate, plan):
                return plan
        raise BadReply(f"{self._endpoint} offers none of {', '.join(plan.name for plan in plans)}")

    async def _block(self, number: int) -> Block:
        async def read(client: Any) -> Block:
            substrate = client._substrate  # noqa: SLF001 - as above
            try:
                return await block_at(substrate, number)
            except load_sdk().ChainError:
                # An ordinary node keeps the blocks for ever and their states for an hour.
                info = await client.block_info(number)
                return Block(number, str(await substrate.block_hash(number)), info.timestamp.timestamp())

        return await self._connection.use(f"block {number}", read, self._deadline)

    async def _events(self, number: int) -> list[Event]:
        return await self._read(f"events of block {number}", lambda substrate: events_of(substrate, number))

    async def _heads(self) -> AsyncGenerator[int, None]:
        """Numbers of new heads; raises `ChainError` when they cease."""
        patience = SILENT_BLOCKS * await self.block_time()
        queue: asyncio.Queue[int | None] = asyncio.Queue()

        async def listen(client: Any) -> None:
            async with contextlib.aclosing(client.blocks()) as headers:
                async for header in headers:
                    queue.put_nowait(header.number)
            raise ConnectionError("the subscription ended")

        yield await self._read("the newest block", lambda substrate: substrate.block_number())
        task = asyncio.ensure_future(self._connection.use("the block subscription", listen, _FOR_EVER))
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while True:
                async with asyncio.timeout(patience):
                    head = await queue.get()
                if head is None:
                    await task
                    return
                yield head
        except TimeoutError as error:
            self._connection.drop()
            raise ChainTimeout(f"a block of {self._endpoint}", patience) from error
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _read(self, what: str, work: Callable[[Any], Awaitable[T]]) -> T:
        async def with_substrate(client: Any) -> T:
            return await work(client._substrate)  # noqa: SLF001 - as above

        return await self._connection.use(what, with_substrate, self._deadline)

    async def _matrix(self, item: str, netuid: int) -> dict[int, dict[int, int]]:
        async def read(substrate: Any) -> dict[int, dict[int, int]]:
            found, _ = await asyncio.gather(
                substrate.query_map(MODULE, item, [netuid]), self._require(substrate, netuid)
            )
            return dict(sorted(decode.rows(found).items()))

        return await self._read(f"{item.lower()} of subnet {netuid}", read)

    async def _require(self, substrate: Any, netuid: int) -> None:
        if not await substrate.query(MODULE, "NetworksAdded", [netuid]):
            raise NotFound(f"there is no subnet {netuid} on {self._endpoint}")


def _address(ss58: str) -> str:
    if not is_address(ss58):
        raise NotFound(f"{ss58[:64]!r} is no ss58 address")
    return ss58


def _life(deadline: float, block_time: float) -> int:
    """Blocks in which a call may be included: a power of two, little more than its sender waits.

    The count begins at a finalized block, a few behind the newest. Whoever sends another call after a timeout has to
    know that the first one is dead.
    """
    wanted = math.ceil(deadline / block_time) + 8
    return min(max(16, 1 << (wanted - 1).bit_length()), _LONGEST_LIFE)
