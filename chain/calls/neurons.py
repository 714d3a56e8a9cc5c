"""Calls by which a neuron comes to be and is found."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ranvier.chain.calls.fields import STRICT, U16, U32, Address, Netuid


@dataclass(frozen=True, config=STRICT)
class Register:
    """Buy a uid for `hotkey` at the price of the moment; the coldkey that pays signs and owns the hotkey."""

    netuid: Netuid
    hotkey: Address
    call: Literal["Register"] = "Register"


@dataclass(frozen=True, config=STRICT)
class ResetBonds:
    """Give up all bonds to the signing hotkey, as after a change of work; only where the owner lets it."""

    netuid: Netuid
    call: Literal["ResetBonds"] = "ResetBonds"


@dataclass(frozen=True, config=STRICT)
class Serve:
    """Publish where the signing hotkey answers. `ip` is a literal IPv4 or IPv6 address."""

    netuid: Netuid
    ip: Annotated[str, Field(max_length=45)]
    port: U16
    version: U32 = 1
    call: Literal["Serve"] = "Serve"


@dataclass(frozen=True, config=STRICT)
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
