"""Calls that change the chain, as typed values. Who signs each is said with it; amounts are rao."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

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
class SetWeights:
    """Replace the signing hotkey's row of weights: `values[i]` (u16, relative) goes to uid `uids[i]`."""

    netuid: Netuid
    uids: U16Row
    values: U16Row
    version_key: Amount = 0
    call: Literal["SetWeights"] = "SetWeights"


@dataclass(frozen=True, config=_STRICT)
class AddStake:
    """Move `amount` from the signing coldkey's balance to stake on its `hotkey`."""

    hotkey: Address
    amount: Amount
    call: Literal["AddStake"] = "AddStake"


@dataclass(frozen=True, config=_STRICT)
class RemoveStake:
    """Move `amount` from the signing coldkey's stake on `hotkey` back to its balance."""

    hotkey: Address
    amount: Amount
    call: Literal["RemoveStake"] = "RemoveStake"


@dataclass(frozen=True, config=_STRICT)
class Transfer:
    """Move `amount` from the signing coldkey's balance to the balance of `to`."""

    to: Address
    amount: Amount
    call: Literal["Transfer"] = "Transfer"


Call: TypeAlias = Register | Serve | SetWeights | AddStake | RemoveStake | Transfer
CALL_NAMES = tuple(kind.__name__ for kind in (Register, Serve, SetWeights, AddStake, RemoveStake, Transfer))
CALLS: TypeAdapter[Call] = TypeAdapter(Annotated[Call, Field(discriminator="call")])
"""Reads and writes any call as JSON."""


def encode_call(call: Call) -> bytes:
    """The JSON bytes that are signed and sent."""
    return CALLS.dump_json(call)


def decode_call(data: bytes) -> Call:
    """The call in `data`. Raises pydantic's ValidationError where it is none."""
    return CALLS.validate_json(data)
