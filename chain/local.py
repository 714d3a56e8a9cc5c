"""The client of our own chain server."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, TypeVar

from pydantic import TypeAdapter

from ranvier.chain.api import LONGEST_WAIT, Advance, CallState, ChainInfo, PulseInfo
from ranvier.chain.calls import Call, CommitTimelocked
from ranvier.chain.checkpoint import Checkpoint
from ranvier.chain.client import Keypair
from ranvier.chain.earned import add_up
from ranvier.chain.errors import CallRefused, ChainTimeout, ChainUnreachable
from ranvier.chain.explorer import (
    Account,
    AccountPoint,
    Delegate,
    NetworkInfo,
    RootSeat,
    SubnetDetail,
    SubnetPoint,
)
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
from ranvier.chain.pages import Page, every
from ranvier.chain.pulse import Lock, sealed
from ranvier.chain.signed import SignedCall, sign_call
from ranvier.chain.transport import Transport

_T = TypeVar("_T")
log = logging.getLogger(__name__)
_INFO = TypeAdapter(ChainInfo)
_BLOCK = TypeAdapter(Block)
_BLOCKS = TypeAdapter(tuple[Block, ...])
_METAGRAPH = TypeAdapter(Metagraph)
_HYPERPARAMETERS = TypeAdapter(Hyperparameters)
_SUBNETS = TypeAdapter(tuple[SubnetInfo, ...])
_MATRIX = TypeAdapter(dict[int, dict[int, int]])
_EVENTS = TypeAdapter(tuple[Event, ...])
_COMMITS = TypeAdapter(tuple[WeightCommit, ...])
_EPOCHS = TypeAdapter(Page[Epoch])
_INTEGER = TypeAdapter(int)
_TEXT = TypeAdapter(str)
_CALL_STATE = TypeAdapter(CallState)
_LOCK = TypeAdapter(Lock)
_PULSE = TypeAdapter(PulseInfo)
_NETWORK = TypeAdapter(NetworkInfo)
_ROOT = TypeAdapter(tuple[RootSeat, ...])
_DELEGATES = TypeAdapter(tuple[Delegate, ...])
_ACCOUNT = TypeAdapter(Account)
_ACCOUNT_POINTS = TypeAdapter(Page[AccountPoint])
_DETAIL = TypeAdapter(SubnetDetail)
_POINTS = TypeAdapter(Page[SubnetPoint])
_CHECKPOINT = TypeAdapter(Checkpoint)
MOST_CHECKPOINT: Final = 1 << 30
_PAUSE: Final = 1.0


class LocalChain:
    """`ChainClient` for a chain server; `deadline` is the default for reads, in seconds.

    Bound to one chain from the first reply on: an endpoint that turns into another chain raises `WrongChain`.
    """

    def __init__(self, endpoint: str, *, deadline: float = 10.0) -> None:
        self._endpoint = endpoint
        self._deadline = deadline
        self._transport = Transport(endpoint)
        self._info: ChainInfo | None = None

    @property
    def endpoint(self) -> str:
        """Where the chain is."""
        return self._endpoint

    async def __aenter__(self) -> LocalChain:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()

    async def info(self) -> ChainInfo:
        """What chain this is; asked for once."""
        if self._info is None:
            self._info = await self._get(_INFO, "/v1/chain")
        return self._info

    async def block(self) -> Block:
        """The newest committed block."""
        return await self._get(_BLOCK, "/v1/block")

    async def blocks(self, after: int | None = None) -> AsyncIterator[Block]:
        """Every block after number `after`, none left out; None starts with the newest."""
        if after is None:
            after = (await self.block()).number - 1
        while True:
            for block in await self._blocks(max(after, 0)):
                yield block
                after = block.number

    async def metagraph(self, netuid: int) -> Metagraph:
        """All neurons of a subnet at the newest block."""
        return await self._get(_METAGRAPH, f"/v1/subnets/{netuid}/metagraph")

    async def hyperparameters(self, netuid: int) -> Hyperparameters:
        """The settings of a subnet."""
        return await self._get(_HYPERPARAMETERS, f"/v1/subnets/{netuid}/hyperparameters")

    async def subnets(self) -> tuple[SubnetInfo, ...]:
        """All subnets by netuid."""
        return await self._get(_SUBNETS, "/v1/subnets")

    async def weights(self, netuid: int) -> dict[int, dict[int, int]]:
        """Weight rows as stored."""
        return await self._get(_MATRIX, f"/v1/subnets/{netuid}/weights")

    async def bonds(self, netuid: int) -> dict[int, dict[int, int]]:
        """Bond rows as stored."""
        return await self._get(_MATRIX, f"/v1/subnets/{netuid}/bonds")

    async def balance(self, ss58: str) -> int:
        """Free rao of a coldkey."""
        return await self._get(_INTEGER, f"/v1/balances/{ss58}")

    async def stake(self, hotkey: str) -> int:
        """All rao of TAO staked to a hotkey."""
        return await self._get(_INTEGER, f"/v1/stakes/{hotkey}")

    async def issuance(self) -> int:
        """All rao in existence."""
        return await self._get(_INTEGER, "/v1/issuance")

    async def state_hash(self) -> str:
        """A hash over the whole state, equal for equal calls on an equal genesis."""
        return await self._get(_TEXT, "/v1/state-hash")

    async def network(self) -> NetworkInfo:
        """The whole chain: settings, costs, houses, motions."""
        return await self._get(_NETWORK, "/v1/network")

    async def root(self) -> tuple[RootSeat, ...]:
        """Root's seats by uid."""
        return await self._get(_ROOT, "/v1/root")

    async def delegates(self) -> tuple[Delegate, ...]:
        """Hotkeys that others may stake to, the one with most stake first."""
        return await self._get(_DELEGATES, "/v1/delegates")

    async def account(self, coldkey: str) -> Account:
        """What a coldkey has."""
        return await self._get(_ACCOUNT, f"/v1/accounts/{coldkey}")

    async def account_history(self, coldkey: str, since_block: int) -> tuple[AccountPoint, ...]:
        """An account after each block after `since_block` that changed it."""
        path = f"/v1/accounts/{coldkey}/history"
        return await every(lambda at: self._get(_ACCOUNT_POINTS, path, since=str(at)), since_block)

    async def subnet_detail(self, netuid: int) -> SubnetDetail:
        """What the list of subnets leaves out."""
        return await self._get(_DETAIL, f"/v1/subnets/{netuid}/detail")

    async def subnet_history(
        self, netuid: int, since_block: int, *, former: bool = False
    ) -> tuple[SubnetPoint, ...]:
        """Prices, share and size of a subnet after blocks with a registration or an epoch.

        `former`: also of those that had its number before.
        """
        path, whole = f"/v1/subnets/{netuid}/history", str(int(former))
        return await every(lambda at: self._get(_POINTS, path, since=str(at), former=whole), since_block)

    async def checkpoint(self, *, deadline: float = 60.0) -> Checkpoint:
        """The whole chain at the newest block, to be restored elsewhere."""
        return await self._transport.ask(
            _CHECKPOINT, "/v1/checkpoint", deadline=deadline, most=MOST_CHECKPOINT
        )

    async def events(self, since_block: int) -> tuple[Event, ...]:
        """Events of blocks after `since_block`, oldest first."""
        found: list[Event] = []
        while piece := await self._get(_EVENTS, "/v1/events", since=str(since_block)):
            found += piece
            since_block = piece[-1].block
        return tuple(found)

    async def epochs(self, netuid: int, since_block: int, *, former: bool = False) -> tuple[Epoch, ...]:
        """Epochs of a subnet in blocks after `since_block`, oldest first.

        `former`: also of those that had its number before.
        """
        path, whole = f"/v1/subnets/{netuid}/epochs", str(int(former))
        return await every(lambda at: self._get(_EPOCHS, path, since=str(at), former=whole), since_block)

    async def emissions(self, netuid: int, since_block: int) -> dict[str, Earned]:
        """Rao by hotkey over the epochs after `since_block`, server and validator part apart."""
        return add_up(await self.epochs(netuid, since_block))

    async def commits(self, netuid: int, hotkey: str) -> tuple[WeightCommit, ...]:
        """Promised weights of a hotkey that are neither revealed nor dropped, oldest first."""
        return await self._get(_COMMITS, f"/v1/subnets/{netuid}/commits/{hotkey}")

    async def lock(self, netuid: int) -> Lock:
        """What a row that is promised in the next block is sealed to."""
        return await self._get(_LOCK, f"/v1/subnets/{netuid}/lock")

    async def pulse(self, block: int) -> PulseInfo:
        """The keys of a block; the private one is told from that block on."""
        return await self._get(_PULSE, f"/v1/pulse/{block}")

    async def genesis(self) -> str:
        """The hash of the chain's genesis."""
        return (await self.info()).genesis

    async def block_time(self) -> float:
        """Seconds between two blocks."""
        return (await self.info()).block_time

    async def supports(self, call_type: type[Call]) -> Support:
        """Whether this chain can carry out calls of this type."""
        name = call_type.__name__
        # Whether rows may be locked is voted on: what was asked once may have changed.
        known = await self._get(_INFO, "/v1/chain") if call_type is CommitTimelocked else await self.info()
        if name in known.calls:
            return Support(Ability.WORKS, name)
        return Support(Ability.IMPOSSIBLE, f"{self._endpoint} knows no call {name}")

    async def advance(self, blocks: int = 1) -> Block:
        """Make blocks on a chain with a manual clock. Raises `CallRefused` (BadOrigin) on any other."""
        body = Advance(blocks=blocks).model_dump_json().encode()
        deadline = self._deadline + 0.1 * blocks
        return await self._transport.ask(
            _BLOCK, "/v1/admin/advance", deadline=deadline, body=body, again=False
        )

    async def submit(self, call: Call, signer: Keypair, *, deadline: float = 30.0) -> Receipt:
        """Sign and send a call; returns once a durable block holds it."""
        try:
            async with asyncio.timeout(deadline):
                signed = await self._sign(call, signer, deadline)
                settled = await self._settle(signed)
        except TimeoutError as error:
            raise ChainTimeout(f"{call.call} at {self._endpoint}", deadline) from error
        except CallRefused as refusal:
            raise CallRefused(refusal.name, refusal.message, call.call) from refusal
        if settled.error is not None:
            raise CallRefused(settled.error, settled.message or "", call.call)
        return Receipt(settled.block or 0, settled.call_hash)

    async def send(self, call: Call, signer: Keypair, *, deadline: float = 30.0) -> str:
        """Sign a call and leave it in the chain's pool; returns its hash. For manual clocks: then `advance`."""
        signed = await self._sign(call, signer, deadline)
        return (await self._post(signed)).call_hash

    async def outcome(self, call_hash: str, *, wait: float = 0.0) -> CallState:
        """What became of a call, waiting up to `wait` seconds for a block to settle it."""
        wait = min(wait, LONGEST_WAIT)
        return await self._get(_CALL_STATE, f"/v1/calls/{call_hash}", wait, wait=f"{wait:.3f}")

    async def _sign(self, call: Call, signer: Keypair, deadline: float) -> SignedCall:
        info, head = await self.info(), await self.block()
        life = math.ceil(deadline / info.block_time) + 2 if info.clock == "wall" else info.longest_life
        if isinstance(call, CommitTimelocked):
            call = await sealed(call, signer.ss58_address, self.lock)
        return sign_call(call, signer, info.genesis, head.number + min(life, info.longest_life))

    async def _settle(self, signed: SignedCall) -> CallState:
        """Send until a block has settled the call: a chain that restarts forgets what only waited."""
        while True:
            call_hash = (await self._post(signed)).call_hash
            state = await self.outcome(call_hash, wait=LONGEST_WAIT)
            while state.status == "waiting":
                state = await self.outcome(call_hash, wait=LONGEST_WAIT)
            if state.status == "settled":
                return state

    async def _post(self, signed: SignedCall) -> CallState:
        body = signed.model_dump_json().encode()
        return await self._transport.ask(_CALL_STATE, "/v1/calls", deadline=self._deadline, body=body)

    async def _blocks(self, after: int) -> tuple[Block, ...]:
        while True:
            try:
                wait = f"{LONGEST_WAIT:.0f}"
                return await self._get(_BLOCKS, "/v1/blocks", LONGEST_WAIT, after=str(after), wait=wait)
            except (ChainUnreachable, ChainTimeout) as error:
                if self._transport.genesis is None or self._transport.closed:
                    raise
                log.warning("waiting for the chain: %s", error)
                await asyncio.sleep(_PAUSE)

    async def _get(self, kind: TypeAdapter[_T], path: str, held: float = 0.0, **query: str) -> _T:
        deadline = self._deadline + held
        return await self._transport.ask(kind, path, deadline=deadline, held=held, query=query)
