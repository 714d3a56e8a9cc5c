"""Calls by which a hotkey lets others validate with its stake."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ranvier.chain.calls.fields import STRICT, U16, Address, Amount, Netuid

Share = tuple[Amount, Address]
"""Part of the parent's stake, of 2**64 - 1, and the child that validates with it."""


@dataclass(frozen=True, config=STRICT)
class SetChildren:
    """Hand parts of a hotkey's stake to other hotkeys of a subnet, in place of earlier ones; its coldkey signs.

    It counts after a delay, from the subnet's next epoch on.
    """

    hotkey: Address
    netuid: Netuid
    children: Annotated[tuple[Share, ...], Field(max_length=8)]
    call: Literal["SetChildren"] = "SetChildren"


@dataclass(frozen=True, config=STRICT)
class SetChildTake:
    """What a child keeps of the dividends on others' stake (u16 ratio), on one subnet; its coldkey signs."""

    hotkey: Address
    netuid: Netuid
    take: U16
    call: Literal["SetChildTake"] = "SetChildTake"
