"""Calls that change the chain, as typed values. Who signs each is said with it; amounts are rao.

A new kind of call: its class in a file of its family here, listed below; its handler in `ranvier.chain.handlers`.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, get_args

from pydantic import Field, TypeAdapter

from ranvier.chain.calls.children import SetChildren, SetChildTake
from ranvier.chain.calls.funds import (
    AddStake,
    BecomeDelegate,
    DecreaseTake,
    Faucet,
    IncreaseTake,
    MoveStake,
    RemoveStake,
    Transfer,
)
from ranvier.chain.calls.governance import CloseMotion, Propose, SetNetworkParameter, Vote
from ranvier.chain.calls.neurons import Register, ResetBonds, Serve, ServeTls
from ranvier.chain.calls.root import RootRegister, SetRootWeights
from ranvier.chain.calls.subnets import (
    CreateSubnet,
    DissolveSubnet,
    RegisterWork,
    SetHyperparameter,
    StartCall,
)
from ranvier.chain.calls.weights import (
    CommitSealed,
    CommitTimelocked,
    CommitWeights,
    RevealWeights,
    SetWeights,
)

Call: TypeAlias = (
    Register
    | ResetBonds
    | Serve
    | ServeTls
    | SetWeights
    | CommitWeights
    | RevealWeights
    | CommitTimelocked
    | CommitSealed
    | AddStake
    | RemoveStake
    | MoveStake
    | BecomeDelegate
    | IncreaseTake
    | DecreaseTake
    | RootRegister
    | SetRootWeights
    | SetChildren
    | SetChildTake
    | RegisterWork
    | CreateSubnet
    | StartCall
    | DissolveSubnet
    | SetHyperparameter
    | SetNetworkParameter
    | Propose
    | Vote
    | CloseMotion
    | Transfer
    | Faucet
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


__all__ = [
    "CALLS",
    "CALL_TYPES",
    "AddStake",
    "BecomeDelegate",
    "Call",
    "CloseMotion",
    "CommitSealed",
    "CommitTimelocked",
    "CommitWeights",
    "CreateSubnet",
    "DecreaseTake",
    "DissolveSubnet",
    "Faucet",
    "IncreaseTake",
    "MoveStake",
    "Propose",
    "Register",
    "RegisterWork",
    "RemoveStake",
    "ResetBonds",
    "RevealWeights",
    "RootRegister",
    "Serve",
    "ServeTls",
    "SetChildTake",
    "SetChildren",
    "SetHyperparameter",
    "SetNetworkParameter",
    "SetRootWeights",
    "SetWeights",
    "StartCall",
    "Transfer",
    "Vote",
    "decode_call",
    "encode_call",
]
