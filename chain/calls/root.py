"""Calls of the root network: a seat for validators with much stake, and weights over subnets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ranvier.chain.calls.fields import STRICT, Address, Amount, Netuid, U16Row

Netuids = Annotated[tuple[Netuid, ...], Field(max_length=4096)]


@dataclass(frozen=True, config=STRICT)
class RootRegister:
    """Take a seat of the root network for a hotkey of the signing coldkey: a free one, or of who has least stake."""

    hotkey: Address
    call: Literal["RootRegister"] = "RootRegister"


@dataclass(frozen=True, config=STRICT)
class SetRootWeights:
    """Divide emission between subnets: `values[i]` (u16, relative) goes to subnet `netuids[i]`.

    The seated hotkey signs, or the coldkey that owns it.
    """

    hotkey: Address
    netuids: Netuids
    values: U16Row
    version_key: Amount = 0
    call: Literal["SetRootWeights"] = "SetRootWeights"
