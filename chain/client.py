"""The one interface to a chain; `local` and the SDK's back end both offer it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol, runtime_checkable

from ranvier.chain.calls import Call
from ranvier.chain.explorer import NetworkInfo, RootSeat
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.models import (
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


class Keypair(Protocol):
    """What the chain needs of a key: bittensor-core's ``Keypair`` fits."""

    @property
    def ss58_address(self) -> str:
        """The address that names the key."""
        ...

    def sign(self, data: bytes) -> bytes:
        """A 64-byte sr25519 signature."""
        ...


@runtime_checkable
class RootChain(Protocol):
    """A chain with a root network that divides emission: both of our own back ends."""

    async def network(self) -> NetworkInfo:
        """The whole chain: settings, costs, houses, motions."""
        ...

    async def root(self) -> tuple[RootSeat, ...]:
        """Root's seats by uid."""
        ...


class ChainClient(Protocol):
    """Reads and submits. Every method has a deadline of its own and raises `ChainError`s only:
    `ChainUnreachable` where nobody answers, `ChainTimeout` where the deadline passed, `NotFound` for an
    unknown subnet, `CallRefused` for a refused call.
    """

    @property
    def endpoint(self) -> str:
        """Where the chain is."""
        ...

    async def block(self) -> Block:
        """The newest committed block."""
        ...

    def blocks(self, after: int | None = None) -> AsyncIterator[Block]:
        """Every block after number `after` as it is committed, none left out; None starts with the newest.

        Survives a restart of the chain: it keeps reconnecting until the caller stops reading.
        """
        ...

    async def metagraph(self, netuid: int) -> Metagraph:
        """All neurons of a subnet at the newest block, in one request."""
        ...

    async def hyperparameters(self, netuid: int) -> Hyperparameters:
        """The settings of a subnet."""
        ...

    async def subnets(self) -> tuple[SubnetInfo, ...]:
        """All subnets by netuid."""
        ...

    async def weights(self, netuid: int) -> dict[int, dict[int, int]]:
        """Weight rows as stored: {row uid: {uid: u16}}, each row's largest value 65535."""
        ...

    async def bonds(self, netuid: int) -> dict[int, dict[int, int]]:
        """Bond rows as stored: {row uid: {uid: u16}}."""
        ...

    async def balance(self, ss58: str) -> int:
        """Free rao of a coldkey, 0 where it never held any."""
        ...

    async def stake(self, hotkey: str) -> int:
        """All rao of TAO staked to a hotkey; alpha of subnets is not among them on a local chain."""
        ...

    async def events(self, since_block: int) -> tuple[Event, ...]:
        """Events of blocks after `since_block`, oldest first."""
        ...

    async def epochs(self, netuid: int, since_block: int) -> tuple[Epoch, ...]:
        """Epochs of a subnet in blocks after `since_block`, oldest first."""
        ...

    async def emissions(self, netuid: int, since_block: int) -> Mapping[str, Earned]:
        """Rao by hotkey over the epochs after `since_block`, server and validator part apart."""
        ...

    async def issuance(self) -> int:
        """All rao in existence: every balance and every stake."""
        ...

    async def commits(self, netuid: int, hotkey: str) -> tuple[WeightCommit, ...]:
        """Promised weights of a hotkey that are neither revealed nor dropped, oldest first."""
        ...

    async def genesis(self) -> str:
        """0x and 64 hex digits that name the chain, whatever its endpoint."""
        ...

    async def block_time(self) -> float:
        """Seconds between two blocks, as the chain means them to be."""
        ...

    async def supports(self, call_type: type[Call]) -> Support:
        """Whether this chain can carry out calls of this type, looked up in what the live chain offers."""
        ...

    async def submit(self, call: Call, signer: Keypair, *, deadline: float = 30.0) -> Receipt:
        """Sign and send a call; returns once a durable block holds it.

        Raises `CallRefused` with the chain's error name where the chain certainly did not carry it out. After
        `ChainTimeout` (`deadline` seconds), `ChainUnreachable` and `OutcomeUnknown` it may still be carried out.
        """
        ...

    async def close(self) -> None:
        """Release connections; the client is not used afterwards."""
        ...
