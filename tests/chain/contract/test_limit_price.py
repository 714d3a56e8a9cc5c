"""A limit price goes to a Subtensor chain as an order that is filled whole or not at all, never as a plain trade."""

from __future__ import annotations

import pytest
from bittensor import calls

from ranvier.chain import Keypair
from ranvier.chain.calls import AddStake, MoveStake, RemoveStake
from ranvier.chain.subtensor.plans import plans_for

HOTKEY = str(Keypair.create_from_uri("//v0").ss58_address)


@pytest.mark.parametrize(
    "call",
    [
        AddStake(HOTKEY, 5, 3, 20_000_000),
        RemoveStake(HOTKEY, 5, 3, 20_000_000),
        MoveStake(HOTKEY, HOTKEY, 5, 3, 4, 20_000_000),
    ],
)
def test_it_is_composed_as_the_official_client_does(call: AddStake | RemoveStake | MoveStake) -> None:
    (plan,) = plans_for(call, None)
    made = getattr(calls.SubtensorModule, plan.function)(**plan.params)
    assert plan.function.endswith("_stake_limit")
    assert plan.params["limit_price"] == 20_000_000
    assert plan.params["allow_partial"] is False
    assert made is not None


def test_without_one_the_trade_is_plain() -> None:
    assert [plan.function for plan in plans_for(AddStake(HOTKEY, 5, 3), None)] == ["add_stake"]
    assert [plan.function for plan in plans_for(MoveStake(HOTKEY, HOTKEY, 5, 3, 4), None)] == ["move_stake"]
