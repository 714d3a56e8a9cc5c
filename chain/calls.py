"""Calls that change the chain, as typed values. Who signs each is said with it; amounts are rao."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from ranvier.chain.addresses import canonical

_STRICT = ConfigDict(extra="forbid")
_MOST_UIDS = 4096
Netuid = Annotated[int, Field(strict=True, ge=0, le=65535)]
Amount = Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)]
Address = Annotated[str, Field(strict=True, max_length=49), AfterValidator(canonical)]
U16 = Annotated[int, Field(strict=True, ge=0, le=65535)]
U32 = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]
U16Row = Annotated[tuple[U16, ...], Field(max_length=_MOST_UIDS)]


@dataclass(frozen=True, config=_STRICT)
class Register:
    """Buy a uid for `hotkey` at the price of the moment; the coldkey that pays signs and owns the hotkey."""

    netuid: Netuid
    hotkey: Address
    call: Literal["Register"] = "Register"


@dataclass(frozen=True, config=_STRICT)
class Serve:
    """Publish where the signing hotkey answers. `ip` is a literal IPv4 or IPv6 address."""

    netuid: Netuid
    ip: Annotated[str, Field(max_length=45)]
    port: U16
    version: U32 = 1
    call: Literal["Serve"] = "Serve"


@dataclass(frozen=True, config=_STRICT)
class ServeTls:
    """Publish like `Serve`, and beside it the public key that the axon's TLS shows.

    `certificate` is hex: one byte of algorithm, then at most 64 bytes of key, as the chain stores it.
    """

    netuid: Netuid
    ip: Annotated[str, Field(max_length=45)]
    port: U16
    certificate: Annotated[str, Field(strict=True, pattern="^([0-9a-f]{2}){1,65}$")]
    version: U32 = 1
    call: Literal["ServeTls"] = "ServeTls"


@dataclass(frozen=True, config=_STRICT)
class SetWeights:
    """Replace the signing hotkey's row of weights: `values[i]` (u16, relative) goes to uid `uids[i]`."""

    netuid: Netuid
    uids: U16Row
    values: U16Row
    version_key: Amount = 0
    call: Literal["SetWeights"] = "SetWeights"


@dataclass(frozen=True, config=_STRICT)
class CommitWeights:
    """Promise a row of weights by its hash (`commitments.commit_hash`); `RevealWeights` keeps the promise."""

    netuid: Netuid
    commit_hash: Annotated[str, Field(strict=True, pattern="^0x[0-9a-f]{64}$")]
    call: Literal["CommitWeights"] = "CommitWeights"


@dataclass(frozen=True, config=_STRICT)
class RevealWeights:
    """The row behind an earlier `CommitWeights` of the signing hotkey, while its window is open."""

    netuid: Netuid
    uids: U16Row
    values: U16Row
    salt: Annotated[tuple[U16, ...], Field(min_length=1, max_length=64)]
    version_key: Amount = 0
    call: Literal["RevealWeights"] = "RevealWeights"


@dataclass(frozen=True, config=_STRICT)
class CommitTimelocked:
    """Send a row of weights encrypted to a later moment, at which the chain itself opens it."""

    netuid: Netuid
    uids: U16Row
    values: U16Row
    version_key: Amount = 0
    call: Literal["CommitTimelocked"] = "CommitTimelocked"


@dataclass(frozen=True, config=_STRICT)
class AddStake:
    """Move `amount` from the signing coldkey's balance to stake on its `hotkey`.

    `netuid` 0 stakes TAO; another buys that subnet's alpha with it, on chains that have alpha.
    """

    hotkey: Address
    amount: Amount
    netuid: Netuid = 0
    call: Literal["AddStake"] = "AddStake"


@dataclass(frozen=True, config=_STRICT)
class RemoveStake:
    """Move `amount` (of alpha for a `netuid` above 0) from the signing coldkey's stake on `hotkey` to its balance."""

    hotkey: Address
    amount: Amount
    netuid: Netuid = 0
    call: Literal["RemoveStake"] = "RemoveStake"


@dataclass(frozen=True, config=_STRICT)
class Transfer:
    """Move `amount` from the signing coldkey's balance to the balance of `to`."""

    to: Address
    amount: Amount
    call: Literal["Transfer"] = "Transfer"


Call: TypeAlias = (
    Register
    | Serve
    | ServeTls
    | SetWeights
    | CommitWeights
    | RevealWeights
    | CommitTimelocked
    | AddStake
    | RemoveStake
    | Transfer
)
CALL_TYPES: tuple[type[Call], ...] = get_args(Call)
"""Every kind of call that a client knows."""
CALLS: TypeAdapter[Call] = TypeAdapter(Annotated[Call, Field(discriminator="call")])
"""Reads and writes any call as JSON."""


def encode_call(call: Call) -> bytes:
    """The JSON bytes that are signed and sent."""
    return CALLS.dump_json(call)


def decode_call(data: bytes) -> Call:
    """The call in `data`. Raises pydantic's ValidationError where it is none."""
    return CALLS.validate_json(data)
