"""Calls that move TAO."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from ranvier.chain.calls.fields import STRICT, U16, Address, Amount, Netuid


@dataclass(frozen=True, config=STRICT)
class AddStake:
    """Move `amount` from the signing coldkey's balance to stake on its `hotkey`.

    `netuid` 0 stakes TAO; another buys that subnet's alpha with it, on chains that have alpha. `limit_price` (rao of
    TAO for one alpha) refuses the whole trade where the price would rise beyond it.
    """

    hotkey: Address
    amount: Amount
    netuid: Netuid = 0
    limit_price: Amount | None = None
    call: Literal["AddStake"] = "AddStake"


@dataclass(frozen=True, config=STRICT)
class RemoveStake:
    """Move `amount` (of alpha for a `netuid` above 0) from the signing coldkey's stake on `hotkey` to its balance.

    `limit_price` (rao of TAO for one alpha) refuses the whole trade where the price would fall below it.
    """

    hotkey: Address
    amount: Amount
    netuid: Netuid = 0
    limit_price: Amount | None = None
    call: Literal["RemoveStake"] = "RemoveStake"


@dataclass(frozen=True, config=STRICT)
class Transfer:
    """Move `amount` from the signing coldkey's balance to the balance of `to`."""

    to: Address
    amount: Amount
    call: Literal["Transfer"] = "Transfer"


@dataclass(frozen=True, config=STRICT)
class MoveStake:
    """Move `amount` of the signing coldkey's stake from one hotkey to another.

    The netuids say which alpha is moved into which, on chains that have alpha; 0 is TAO. `limit_price` (1e-9 of what is
    bought for one of what is sold) refuses the whole trade where the ratio of the two prices would fall below it.
    """

    origin: Address
    hotkey: Address
    amount: Amount
    origin_netuid: Netuid = 0
    netuid: Netuid = 0
    limit_price: Amount | None = None
    call: Literal["MoveStake"] = "MoveStake"


@dataclass(frozen=True, config=STRICT)
class Faucet:
    """New TAO for the signing coldkey, on local chains whose genesis has a faucet; counted as issued."""

    call: Literal["Faucet"] = "Faucet"


@dataclass(frozen=True, config=STRICT)
class BecomeDelegate:
    """Let everybody stake to a hotkey of the signing coldkey, for a `take` (u16 ratio) of its validator's emission."""

    hotkey: Address
    take: U16
    call: Literal["BecomeDelegate"] = "BecomeDelegate"


@dataclass(frozen=True, config=STRICT)
class IncreaseTake:
    """A larger take (u16 ratio) for a delegate of the signing coldkey; once in a while only."""

    hotkey: Address
    take: U16
    call: Literal["IncreaseTake"] = "IncreaseTake"


@dataclass(frozen=True, config=STRICT)
class DecreaseTake:
    """A smaller take (u16 ratio) for a delegate of the signing coldkey, at any time."""

    hotkey: Address
    take: U16
    call: Literal["DecreaseTake"] = "DecreaseTake"
