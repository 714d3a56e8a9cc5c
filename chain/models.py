"""What a chain tells its callers: blocks, neurons, subnets, events. Immutable, the same for every back end.

Addresses are ss58 strings, amounts are int rao, ratios are u16 integers (65535 is one), times are block
numbers unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

RAO = 1_000_000_000
"""Rao in one TAO."""


@dataclass(frozen=True, slots=True)
class Block:
    """One committed block. `hash` is 0x and 64 hex digits, `timestamp` seconds since 1970."""

    number: int
    hash: str
    timestamp: float


@dataclass(frozen=True, slots=True)
class AxonInfo:
    """Where a neuron published that it answers; `block` is when it said so."""

    ip: str
    port: int
    version: int
    block: int
    certificate: str = ""
    """Hex of the published TLS key, one byte of algorithm before it; empty where none was published."""


@dataclass(frozen=True, slots=True)
class Neuron:
    """One uid slot of a subnet.

    `stake` is what the hotkey validates with, in rao: on a subnet with alpha its alpha and the part that TAO counts
    beside it. `emission` is what Yuma gave it in the last epoch (server and validator part together; of alpha where
    there is any); rank to dividends are u16 ratios. `axon` is None until the hotkey serves.
    """

    uid: int
    hotkey: str
    coldkey: str
    stake: int
    active: bool
    validator_permit: bool
    last_update: int
    registered_at: int
    rank: int
    trust: int
    validator_trust: int
    consensus: int
    incentive: int
    dividends: int
    emission: int
    axon: AxonInfo | None


@dataclass(frozen=True)
class Metagraph:
    """A subnet at one block. `last_step` is the block of the last epoch, 0 before the first; neurons by uid."""

    netuid: int
    name: str
    block: int
    block_hash: str
    tempo: int
    last_step: int
    neurons: tuple[Neuron, ...]

    @cached_property
    def _places(self) -> Mapping[str, Neuron]:
        return MappingProxyType({neuron.hotkey: neuron for neuron in self.neurons})

    def by_hotkey(self, hotkey: str) -> Neuron | None:
        """The neuron of a hotkey, or None where it is not registered on this subnet."""
        return self._places.get(hotkey)


@dataclass(frozen=True, slots=True)
class SubnetInfo:
    """One subnet in the list of subnets. `emission_share` is its part of block emission in [0, 1], `burn` the
    price of a registration in rao, `owner` the coldkey that receives the owner's cut (None: nobody does).
    """

    netuid: int
    name: str
    owner: str | None
    tempo: int
    neurons: int
    max_neurons: int
    emission_share: float
    burn: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a block; `index` orders events within it."""

    block: int
    index: int
    name: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a call was carried out: the block that holds it, already durable, and the call's hash."""

    block: int
    call_hash: str


@dataclass(frozen=True, slots=True)
class WeightCommit:
    """A promised row of weights that the chain has not seen yet.

    It can be revealed from block `first_reveal` to block `last_reveal`, both included. `hash` is 0x and 64 hex
    digits; empty for one that the chain opens by itself. Of such a one a local chain keeps the `sealed` row (hex),
    `first_reveal` is the block whose key opens it, `last_reveal` the last that may have the epoch which it waits for.
    """

    hash: str
    block: int
    first_reveal: int
    last_reveal: int
    sealed: str = ""


class Ability(StrEnum):
    """How well a chain can carry out a kind of call."""

    WORKS = "works"
    FALLBACK = "fall-back"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a chain carries out a kind of call, and by which of its own calls or why not."""

    ability: Ability
    detail: str = ""

    def __bool__(self) -> bool:
        return self.ability is not Ability.IMPOSSIBLE


@dataclass(frozen=True, slots=True)
class EpochRow:
    """What one neuron got in one epoch; emissions are rao, incentive and dividends u16 ratios.

    On a subnet with alpha they are of alpha, and `burned` is what a miner of the subnet's owner would have got: it is
    never made. What parents of a child hotkey get of its `validator_emission`, and what is sold for root's stake, is
    not told apart.
    """

    uid: int
    hotkey: str
    incentive: int
    dividends: int
    server_emission: int
    validator_emission: int
    burned: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of a subnet. Its emission is paid out as stake in the block after `block`."""

    block: int
    rows: tuple[EpochRow, ...]


@dataclass(frozen=True, slots=True)
class Earned:
    """Rao a hotkey earned over several epochs, as a miner (`server`) and as a validator (`validator`); of alpha where a
    subnet has it.
    """

    server: int
    validator: int
