"""Calls by which the network decides: a committee proposes, the senate of root's largest validators votes."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from ranvier.chain.calls.fields import STRICT, Address
from ranvier.chain.calls.subnets import DissolveSubnet, Name, SetHyperparameter

Value = Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)]
Motion = Annotated[int, Field(strict=True, ge=0, le=2**53)]


@dataclass(frozen=True, config=STRICT)
class SetNetworkParameter:
    """Change a number of `NetworkParameters`, for the whole chain. Nobody signs it: it is moved and voted on."""

    name: Name
    value: Value
    call: Literal["SetNetworkParameter"] = "SetNetworkParameter"


Action: TypeAlias = Annotated[
    SetNetworkParameter | SetHyperparameter | DissolveSubnet, Field(discriminator="call")
]
"""What a motion may order: it is carried out as by the chain's root, above every owner."""


@dataclass(frozen=True, config=STRICT)
class Propose:
    """Move that the chain carries an action out; a member of the committee signs."""

    action: Action
    call: Literal["Propose"] = "Propose"


@dataclass(frozen=True, config=STRICT)
class Vote:
    """A senator's vote on a motion, which may be changed; the coldkey of the senator's `hotkey` signs."""

    motion: Motion
    hotkey: Address
    approve: bool
    call: Literal["Vote"] = "Vote"


@dataclass(frozen=True, config=STRICT)
class CloseMotion:
    """Carry out a motion that has won, or drop one that has lost or run out; anybody of either house signs."""

    motion: Motion
    call: Literal["CloseMotion"] = "CloseMotion"
