"""The chain inside this process: the same rules and the same client, without a server and without waiting."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from ranvier.chain import explorer_views, views
from ranvier.chain.addresses import is_address
from ranvier.chain.api import LONGEST_WAIT, MOST_EVENTS
from ranvier.chain.calls import Call, CommitTimelocked
from ranvier.chain.client import Keypair
from ranvier.chain.dispatch import carried_out
from ranvier.chain.earned import add_up
from ranvier.chain.errors import BadGenesis, CallRefused, ChainTimeout, ChainUnreachable, NotFound
from ranvier.chain.explorer import Account, NetworkInfo, RootSeat
from ranvier.chain.genesis import Genesis
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
from ranvier.chain.node import ChainNode
from ranvier.chain.pages import MOST_EPOCHS, every
from ranvier.chain.pulse import sealed
from ranvier.chain.signed import LONGEST_LIFE, sign_call
from ranvier.chain.state import ChainState, Slot
from ranvier.chain.store import Store

_T = TypeVar("_T")
log = logging.getLogger(__name__)


class EmbeddedChain:
    """`ChainClient` over a `ChainNode` of this process, with a manual clock. Several neurons may share it.

    Nothing happens between two blocks, and blocks are made by `advance` only: `submit` returns once somebody
    *else* has made the block that holds the call. Whoever drives the clock must therefore not await `submit`
    alone (it would end in `ChainTimeout`); `carry_out` is its way to send a call. Equal calls in equal order on an
    equal genesis give equal blocks, hashes included. Refuses as `LocalChain` does; while `stop` has taken it away
    reads wait for their deadline and raise `ChainUnreachable`.
    """

    def __init__(self, genesis: Genesis, folder: Path | None = None, *, deadline: float = 10.0) -> None:
        """A chain in ``folder``, or in a temporary one that `close` removes; ``deadline`` is for reads, in seconds.

        Raises `BadGenesis` for a genesis with a wall clock, and what `ChainNode.open` raises.
        """
        if genesis.clock != "manual":
            raise BadGenesis(
                f"the genesis {genesis.name} has a {genesis.clock} clock; an embedded chain needs clock='manual'"
            )
        self._temporary = tempfile.TemporaryDirectory(prefix="ranvier-chain-") if folder is None else None
        self._node = ChainNode.open(
            Path(self._temporary.name) if self._temporary else folder or Path(), genesis
        )
        self._deadline = deadline
        self._calls = 0
        self._there = asyncio.Event()
        self._there.set()
        self._closed = False

    @property
    def endpoint(self) -> str:
        """A name on this machine that no network can reach."""
        return "http://127.0.0.1:0"

    @property
    def height(self) -> int:
        """The newest block's number, as the one who drives the clock knows it: also while clients cannot reach it."""
        return self._node.head.number

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the chain, remove its temporary folder; every later call raises `ChainUnreachable`."""
        if self._closed:
            return
        self._closed = True
        self._node.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def stop(self) -> None:
        """Take the chain away from its clients until `resume`; calls that wait already stay in its pool."""
        self._there.clear()

    def resume(self) -> None:
        """Let the clients reach it again."""
        self._there.set()

    async def advance(self, blocks: int = 1) -> Block:
        """Make so many blocks, also while the clients cannot reach the chain; returns the newest."""
        self._check_open()
        for _ in range(blocks):
            await self._node.make_block()
        return self._node.head

    async def carry_out(self, call: Call, signer: Keypair) -> Receipt:
        """Send a call and make the block that holds it: for whoever drives the clock. Raises `CallRefused`."""
        call_hash = await self._send(call, signer)
        await self.advance()
        return await self._settled(call, call_hash)

    async def replace(self, netuid: int, uid: int, hotkey: str, coldkey: str) -> None:
        """Give this very uid to another hotkey with the next block, as a registration would that evicts it.

        Which neuron gives way to a `Register` call is the chain's choice; tests name it here. Raises `NotFound`,
        and `CallRefused` where the hotkey has a uid on the subnet already.
        """

        def put(state: ChainState) -> None:
            subnet = views.subnet_of(state, netuid)
            if not 0 <= uid < len(subnet.slots):
                raise NotFound(f"subnet {netuid} has no uid {uid}; it has {len(subnet.slots)} neurons")
            if hotkey in subnet.uids:
                raise CallRefused(
                    "HotKeyAlreadyRegisteredInSubNet", f"it has uid {subnet.uids[hotkey]}", "replace"
                )
            former, block = subnet.slots[uid].hotkey, state.head.number + 1
            state.ledger.own(hotkey, coldkey)
            subnet.put(uid, Slot(hotkey, registered_at=block, last_update=block))
            if not (state.network.parameters.alpha or state.registered_anywhere(former)):
                state.ledger.release(former)

        self._check_open()
        await self._node.read(put)
        await self._node.make_block()

    async def trim(self, netuid: int, neurons: int) -> None:
        """Leave only the first so many uids on a subnet, with the next block, as the chain's root may order it.

        Raises `NotFound` for an unknown subnet.
        """

        def cut(state: ChainState) -> None:
            subnet = views.subnet_of(state, netuid)
            for uid in range(len(subnet.slots) - 1, neurons - 1, -1):
                former = subnet.slots[uid].hotkey
                subnet.remove_last()
                if not (state.network.parameters.alpha or state.registered_anywhere(former)):
                    state.ledger.release(former)

        self._check_open()
        await self._node.read(cut)
        await self._node.make_block()

    async def block(self) -> Block:
        """The newest committed block."""
        return await self._read(lambda state: state.head)

    async def blocks(self, after: int | None = None) -> AsyncIterator[Block]:
        """Every block after number `after`, none left out; None starts with the newest."""
        if after is None:
            after = (await self.block()).number - 1
        while True:
            found = await self._node.blocks(max(after, 0), LONGEST_WAIT)
            await self._back()
            for block in found:
                yield block
                after = block.number

    async def metagraph(self, netuid: int) -> Metagraph:
        """All neurons of a subnet at the newest block."""
        return await self._read(lambda state: views.metagraph(state, netuid))

    async def hyperparameters(self, netuid: int) -> Hyperparameters:
        """The settings of a subnet."""
        return await self._read(lambda state: views.hyperparameters(state, netuid))

    async def subnets(self) -> tuple[SubnetInfo, ...]:
        """All subnets by netuid."""
        return await self._read(views.subnets)

    async def weights(self, netuid: int) -> dict[int, dict[int, int]]:
        """Weight rows as stored."""
        return await self._read(lambda state: views.weights(state, netuid))

    async def bonds(self, netuid: int) -> dict[int, dict[int, int]]:
        """Bond rows as stored."""
        return await self._read(lambda state: views.bonds(state, netuid))

    async def balance(self, ss58: str) -> int:
        """Free rao of a coldkey."""
        return await self._read(lambda state: state.ledger.balance(_address(ss58)))

    async def stake(self, hotkey: str) -> int:
        """All rao staked to a hotkey."""
        return await self._read(lambda state: state.ledger.staked(_address(hotkey)))

    async def issuance(self) -> int:
        """All rao in existence."""
        return await self._read(lambda state: state.ledger.issuance)

    async def network(self) -> NetworkInfo:
        """The whole chain: settings, costs, houses, motions."""
        return await self._read(explorer_views.network)

    async def root(self) -> tuple[RootSeat, ...]:
        """Root's seats by uid."""
        return await self._read(explorer_views.root)

    async def account(self, coldkey: str) -> Account:
        """What a coldkey has."""
        return await self._read(lambda state: explorer_views.account(state, _address(coldkey)))

    async def state_hash(self) -> str:
        """A hash over the whole state, equal for equal calls on an equal genesis."""
        await self._reach("the state hash")
        return await self._node.hash_state()

    async def events(self, since_block: int) -> tuple[Event, ...]:
        """Events of blocks after `since_block`, oldest first."""
        found: list[Event] = []
        while piece := await self._history(partial(Store.events, since=since_block, limit=MOST_EVENTS)):
            found += piece
            since_block = piece[-1].block
        return tuple(found)

    async def epochs(self, netuid: int, since_block: int, *, former: bool = False) -> tuple[Epoch, ...]:
        """Epochs of a subnet in blocks after `since_block`, oldest first.

        `former`: also of those that had its number before.
        """
        if not former:
            founded = await self._read(lambda state: views.subnet_of(state, netuid).created_at)
            since_block = max(since_block, founded)
        return await every(
            lambda at: self._history(lambda store: store.history.epochs(netuid, at, MOST_EPOCHS)), since_block
        )

    async def emissions(self, netuid: int, since_block: int) -> Mapping[str, Earned]:
        """Rao by hotkey over the epochs after `since_block`, server and validator part apart."""
        return add_up(await self.epochs(netuid, since_block))

    async def commits(self, netuid: int, hotkey: str) -> tuple[WeightCommit, ...]:
        """Promised weights of a hotkey that are neither revealed nor dropped, oldest first."""
        return await self._read(lambda state: views.commits(state, netuid, _address(hotkey)))

    async def genesis(self) -> str:
        """The hash of the chain's genesis."""
        return self._node.genesis_hash

    async def block_time(self) -> float:
        """Seconds between two blocks, as the genesis means them to be."""
        return self._node.genesis.block_time

    async def supports(self, call_type: type[Call]) -> Support:
        """Whether this chain can carry out calls of this type."""
        name = call_type.__name__
        version = await self._read(lambda state: state.network.parameters.commit_reveal_version)
        if name in carried_out(self._node.genesis.era, version):
            return Support(Ability.WORKS, name)
        return Support(Ability.IMPOSSIBLE, f"{self.endpoint} knows no call {name}")

    async def submit(self, call: Call, signer: Keypair, *, deadline: float = 30.0) -> Receipt:
        """Sign and send a call; returns once `advance`, called by somebody else, has made the block that holds it."""
        try:
            async with asyncio.timeout(deadline):
                call_hash = await self._send(call, signer)
                while self._node.is_waiting(call_hash):
                    await self._node.next_tick()
                return await self._settled(call, call_hash)
        except TimeoutError as error:
            raise ChainTimeout(f"{call.call} at {self.endpoint}", deadline) from error

    async def _send(self, call: Call, signer: Keypair) -> str:
        await self._reach(call.call)
        self._calls += 1
        life = self._node.head.number + LONGEST_LIFE
        sent = call
        if isinstance(call, CommitTimelocked):
            sent = await sealed(call, signer.ss58_address, self._node.lock)
        signed = sign_call(sent, signer, self._node.genesis_hash, life, self._calls)
        try:
            return await self._node.receive(signed)
        except CallRefused as refusal:
            raise CallRefused(refusal.name, refusal.message, call.call) from refusal

    async def _settled(self, call: Call, call_hash: str) -> Receipt:
        outcome = await self._history(lambda store: store.outcome(call_hash))
        if outcome is None:
            raise ChainTimeout(f"{call.call} at {self.endpoint}, which the next block did not hold,", 0.0)
        if outcome.error is not None:
            raise CallRefused(outcome.error, outcome.message or "", call.call)
        return Receipt(outcome.block, call_hash)

    async def _read(self, view: Callable[[ChainState], _T]) -> _T:
        await self._reach("a read")
        return await self._node.read(view)

    async def _history(self, query: Callable[[Store], _T]) -> _T:
        await self._reach("a read")
        return await self._node.history(query)

    async def _reach(self, what: str) -> None:
        """As a client that lost its server: wait for its return until the deadline has passed."""
        self._check_open()
        try:
            async with asyncio.timeout(self._deadline):
                await self._there.wait()
        except TimeoutError as error:
            raise ChainUnreachable(self.endpoint, f"stopped while {what} was asked for") from error
        self._check_open()

    async def _back(self) -> None:
        """As a subscription that lost its server: wait for its return, however long that takes."""
        self._check_open()
        if not self._there.is_set():
            log.warning("waiting for the chain")
            await self._there.wait()

    def _check_open(self) -> None:
        if self._closed:
            raise ChainUnreachable(self.endpoint, "closed")


def _address(ss58: str) -> str:
    if not is_address(ss58):
        raise NotFound(f"{ss58[:64]!r} is no ss58 address")
    return ss58
