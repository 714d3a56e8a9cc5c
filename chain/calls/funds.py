"""Calls that move TAO."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from ranvier.chain.calls.fields import STRICT, Address, Amount, Netuid


@dataclass(frozen=True, config=STRICT)
class AddStake:
    """Move `amount` from the signing coldkey's balance to stake on its `hotkey`.

    `netuid` 0 stakes TAO; another buys that subnet's alpha with it, on chains that have alpha.
    """

    hotkey: Address
    amount: Amount
    netuid: Netuid = 0
    call: Literal["AddStake"] = "AddStake"


@dataclass(frozen=True, config=STRICT)
class RemoveStake:
    """Move `amount` (of alpha for a `netuid` above 0) from the signing coldkey's stake on `hotkey` to its balance."""

    hotkey: Address
    amount: Amount
    netuid: Netuid = 0
    call: Literal["RemoveStake"] = "RemoveStake"


@dataclass(frozen=True, config=STRICT)
class Transfer:
    """Move `amount` from the signing coldkey's balance to the balance of `to`."""

    to: Address
    amount: Amount
    call: Literal["Transfer"] = "Transfer"
