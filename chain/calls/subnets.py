"""Calls of subnets' owners, and work instead of a price for a place."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ranvier.chain.calls.fields import STRICT, Address, Amount, Netuid

Name = Annotated[str, Field(strict=True, min_length=1, max_length=64)]
Value = Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)]


@dataclass(frozen=True, config=STRICT)
class RegisterWork:
    """Take a uid for the signing hotkey by work on a recent block's hash; `coldkey` will own it.

    `work` is hex, the seal of `nonce` (`ranvier.chain.work`).
    """

    netuid: Netuid
    coldkey: Address
    block: Annotated[int, Field(strict=True, ge=0, le=2**53)]
    nonce: Amount
    work: Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")]
    call: Literal["RegisterWork"] = "RegisterWork"


@dataclass(frozen=True, config=STRICT)
class CreateSubnet:
    """Found a subnet: the signing coldkey locks what it costs and owns it; `hotkey` is the owner's own."""

    hotkey: Address
    name: Name
    call: Literal["CreateSubnet"] = "CreateSubnet"


@dataclass(frozen=True, config=STRICT)
class StartCall:
    """Let a subnet of the signing coldkey have emission and its alpha be traded, from the next block on (2026)."""

    netuid: Netuid
    call: Literal["StartCall"] = "StartCall"


@dataclass(frozen=True, config=STRICT)
class DissolveSubnet:
    """End a subnet of the signing coldkey; what was locked for it returns."""

    netuid: Netuid
    call: Literal["DissolveSubnet"] = "DissolveSubnet"


@dataclass(frozen=True, config=STRICT)
class SetHyperparameter:
    """Change a setting of a subnet of the signing coldkey; flags are 0 and 1."""

    netuid: Netuid
    name: Name
    value: Value
    call: Literal["SetHyperparameter"] = "SetHyperparameter"
