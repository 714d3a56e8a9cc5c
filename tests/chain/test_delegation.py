"""Delegates, their takes, and what nominators receive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ranvier.chain import (
    RAO,
    AddStake,
    BecomeDelegate,
    CallRefused,
    DecreaseTake,
    Genesis,
    IncreaseTake,
    Keypair,
    MoveStake,
    RemoveStake,
    Transfer,
)
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.ledger import Ledger
from ranvier.chain.payment import pay
from ranvier.chain.state import Payment

TAKE = 11796
Opener = Callable[..., EmbeddedChain]


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


@pytest.fixture
def embedded(make_genesis: Callable[..., Genesis]) -> Opener:
    return lambda **changes: EmbeddedChain(make_genesis(**changes))


async def refused(chain: EmbeddedChain, call: Any, signer: str) -> str:
    with pytest.raises(CallRefused) as caught:
        await chain.carry_out(call, key(signer))
    return caught.value.name


def test_a_delegate_takes_first_and_nominators_share_by_stake() -> None:
    ledger = Ledger(500)
    for coldkey in ("owner", "rich"):
        ledger.mint(coldkey, 4000)
    ledger.own("hot", "owner")
    ledger.stake("owner", "hot", 1000, 1)
    ledger.stake("rich", "hot", 3000, 1)
    pay(ledger, Payment("hot", server=100, validator=1000), TAKE)
    # 18 % of 1,000 is 179 in the chain's fixed point (11796/65535); three quarters of the other 821 are 615, a quarter
    # 205, and the odd rao goes to the delegate, as does all that its miner earned.
    assert ledger.stake_of("hot", "rich") == 3000 + 615
    assert ledger.stake_of("hot", "owner") == 1000 + 100 + 179 + 205 + 1
    assert ledger.issuance == 8000 + 1100 == ledger.total()


def test_without_a_take_all_is_the_owners() -> None:
    ledger = Ledger(500)
    ledger.mint("other", 4000)
    ledger.own("hot", "owner")
    ledger.stake("other", "hot", 1000, 1)
    pay(ledger, Payment("hot", 10, 90), None)
    assert (ledger.stake_of("hot", "owner"), ledger.stake_of("hot", "other")) == (100, 1000)


async def test_others_stake_to_delegates_only(embedded: Opener) -> None:
    async with embedded() as chain:
        stake = AddStake(address("v0"), RAO)
        assert await refused(chain, stake, "rich") == "HotKeyNotDelegateAndSignerNotOwnHotKey"
        assert await refused(chain, BecomeDelegate(address("v0"), TAKE), "rich") == "NonAssociatedColdKey"
        await chain.carry_out(BecomeDelegate(address("v0"), TAKE), key("cold"))
        assert await refused(chain, BecomeDelegate(address("v0"), TAKE), "cold") == "HotKeyAlreadyDelegate"
        before = await chain.stake(address("v0"))
        await chain.carry_out(stake, key("rich"))
        assert await chain.stake(address("v0")) >= before + RAO


async def test_takes_have_limits_and_rise_slowly(embedded: Opener) -> None:
    async with embedded(min_take=655, max_take=TAKE, take_interval=3) as chain:
        hotkey = address("v0")
        assert await refused(chain, IncreaseTake(hotkey, TAKE), "cold") == "HotKeyNotDelegate"
        assert await refused(chain, BecomeDelegate(hotkey, 654), "cold") == "DelegateTakeTooLow"
        assert await refused(chain, BecomeDelegate(hotkey, TAKE + 1), "cold") == "DelegateTakeTooHigh"
        await chain.carry_out(BecomeDelegate(hotkey, 1000), key("cold"))
        assert await refused(chain, IncreaseTake(hotkey, 1000), "cold") == "DelegateTakeTooLow"
        await chain.carry_out(IncreaseTake(hotkey, 2000), key("cold"))
        assert await refused(chain, IncreaseTake(hotkey, 3000), "cold") == "DelegateTxRateLimitExceeded"
        await chain.carry_out(DecreaseTake(hotkey, 700), key("cold"))
        assert await refused(chain, DecreaseTake(hotkey, 700), "cold") == "DelegateTakeTooLow"
        await chain.advance(3)
        await chain.carry_out(IncreaseTake(hotkey, 3000), key("cold"))


async def test_in_2026_everybody_is_a_delegate(embedded: Opener) -> None:
    async with embedded(era="y2") as chain:
        await chain.carry_out(AddStake(address("v0"), RAO), key("rich"))
        await chain.carry_out(DecreaseTake(address("v0"), 0), key("cold"))


async def test_a_nomination_below_the_minimum_is_refused_and_what_is_left_below_it_returns(
    embedded: Opener,
) -> None:
    async with embedded(min_stake=RAO, tempo=300) as chain:
        hotkey = address("v0")
        await chain.carry_out(BecomeDelegate(hotkey, TAKE), key("cold"))
        assert await refused(chain, AddStake(hotkey, RAO - 1), "rich") == "NomStakeBelowMinimumThreshold"
        await chain.carry_out(AddStake(hotkey, 2 * RAO), key("rich"))
        before = await chain.balance(address("rich"))
        await chain.carry_out(RemoveStake(hotkey, RAO + 1), key("rich"))
        assert await chain.balance(address("rich")) == before + 2 * RAO


async def test_stake_moves_between_hotkeys_without_a_balance(embedded: Opener) -> None:
    async with embedded(tempo=300) as chain:
        origin, hotkey = address("v0"), address("v1")
        held = await chain.stake(origin), await chain.stake(hotkey)
        assert (
            await refused(chain, MoveStake(origin, hotkey, held[0] + 1), "cold") == "NotEnoughStakeToWithdraw"
        )
        assert await refused(chain, MoveStake(origin, origin, 1), "cold") == "SameHotkey"
        assert await refused(chain, MoveStake(origin, hotkey, 0), "cold") == "StakeToWithdrawIsZero"
        assert (
            await refused(chain, MoveStake(origin, address("nobody"), 1), "cold") == "HotKeyAccountNotExists"
        )
        balance = await chain.balance(address("cold"))
        await chain.carry_out(MoveStake(origin, hotkey, RAO), key("cold"))
        assert await chain.stake(origin) == held[0] - RAO
        assert await chain.stake(hotkey) == held[1] + RAO
        assert await chain.balance(address("cold")) == balance
        await chain.carry_out(Transfer(address("poor"), RAO), key("cold"))
