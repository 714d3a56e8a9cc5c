"""Who sits on root, and how its weights divide emission."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.chain import RAO, AddStake, CallRefused, Genesis, Keypair, Register, RootRegister, SetRootWeights
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.root import ONE, Seat, proportional_shares, sigmoid_shares, standings

Opener = Callable[..., EmbeddedChain]
KAPPA, RHO = 32767, 10


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


@pytest.fixture
def embedded(make_genesis: Callable[..., Genesis]) -> Opener:
    return lambda **changes: EmbeddedChain(make_genesis(**{"subnets": 2, "tempo": 300, **changes}))


async def refused(chain: EmbeddedChain, call: Any, signer: str) -> str:
    with pytest.raises(CallRefused) as caught:
        await chain.carry_out(call, key(signer))
    return caught.value.name


def seats(*rows: dict[int, int]) -> list[Seat]:
    return [Seat(str(number), 1, 1, row) for number, row in enumerate(rows)]


def test_the_sigmoid_lifts_what_most_of_the_stake_weighs() -> None:
    """Two subnets of equal rank: one from three quarters of the stake, one from a quarter that gives it everything."""
    stakes = {"0": 75, "1": 25}
    found = standings(seats({1: 65535, 2: 0}, {1: 0, 2: 65535}), lambda hot: stakes[hot], [1, 2])
    assert [one.rank / ONE for one in found.values()] == pytest.approx([0.75, 0.25])
    assert [one.trust / ONE for one in found.values()] == pytest.approx([0.75, 0.25])
    high, low = (1 / (1 + math.exp(-RHO * (trust - KAPPA / 65535))) for trust in (0.75, 0.25))
    expected = 0.75 * high / (0.75 * high + 0.25 * low)
    shares = sigmoid_shares(found, KAPPA, RHO)
    assert shares[1] / ONE == pytest.approx(expected, abs=1e-8)
    assert proportional_shares(found)[1] / ONE == pytest.approx(0.75)


@given(
    rows=st.lists(st.dictionaries(st.integers(1, 6), st.integers(0, 65535)), min_size=1, max_size=8),
    stakes=st.lists(st.integers(0, 21 * 10**15), min_size=8, max_size=8),
)
def test_shares_never_exceed_one_and_need_stake(rows: list[dict[int, int]], stakes: list[int]) -> None:
    found = standings(seats(*rows), lambda hot: stakes[int(hot)], [1, 2, 3])
    for shares in (sigmoid_shares(found, KAPPA, RHO), proportional_shares(found)):
        assert set(shares) == {1, 2, 3}
        assert all(share >= 0 for share in shares.values())
        assert sum(shares.values()) <= ONE
        weighed = {n for row, stake in zip(rows, stakes, strict=False) if stake for n, w in row.items() if w}
        assert {netuid for netuid, share in shares.items() if share} <= weighed


async def test_root_weights_divide_emission_and_hold_until_root_speaks_again(embedded: Opener) -> None:
    async with embedded(emission="root", root_tempo=4) as chain:
        assert await refused(chain, RootRegister(address("nobody")), "cold") == "HotKeyNotRegisteredInSubNet"
        assert await refused(chain, RootRegister(address("v0")), "rich") == "NonAssociatedColdKey"
        await chain.carry_out(RootRegister(address("v0")), key("cold"))
        assert await refused(chain, RootRegister(address("v0")), "cold") == "HotKeyAlreadyRegisteredInSubNet"
        before = {s.netuid: s.emission_share for s in await chain.subnets()}
        assert before == {1: 1.0, 2: 0.0}, "nobody has spoken yet"
        await chain.carry_out(SetRootWeights(address("v0"), (1, 2), (1, 3)), key("cold"))
        await chain.advance(5)
        after = {s.netuid: s.emission_share for s in await chain.subnets()}
        assert after == pytest.approx({1: 0.25, 2: 0.75}, abs=1e-4)


async def test_root_weights_are_checked(embedded: Opener) -> None:
    async with embedded(emission="root", root_weights_interval=3) as chain:
        row = SetRootWeights(address("v0"), (1,), (1,))
        assert await refused(chain, row, "cold") == "HotKeyNotRegisteredInSubNet"
        await chain.carry_out(RootRegister(address("v0")), key("cold"))
        assert await refused(chain, row, "rich") == "NonAssociatedColdKey"
        assert (
            await refused(chain, SetRootWeights(address("v0"), (1, 2), (1,)), "cold")
            == "WeightVecNotEqualSize"
        )
        assert await refused(chain, SetRootWeights(address("v0"), (1, 1), (1, 1)), "cold") == "DuplicateUids"
        assert (
            await refused(chain, SetRootWeights(address("v0"), (9,), (1,)), "cold")
            == "UidVecContainInvalidOne"
        )
        assert (
            await refused(chain, SetRootWeights(address("v0"), (1,), (0,)), "cold") == "WeightVecLengthIsLow"
        )
        await chain.carry_out(row, key("cold"))
        assert await refused(chain, row, "cold") == "SettingWeightsTooFast"


async def test_more_stake_takes_the_seat_of_the_least(embedded: Opener) -> None:
    async with embedded(root_seats=2) as chain:
        for name in ("v1", "v2"):
            await chain.carry_out(RootRegister(address(name)), key("cold"))
        assert await refused(chain, RootRegister(address("m0")), "cold") == "StakeTooLowForRoot"
        await chain.carry_out(Register(1, address("new")), key("rich"))
        await chain.carry_out(AddStake(address("new"), 31 * RAO), key("rich"))
        await chain.carry_out(RootRegister(address("new")), key("rich"))
        told = [event.data for event in await chain.events(0) if event.name == "RootRegistered"]
        assert told[-1] == {"hotkey": address("new"), "replaced": address("v2")}
        await chain.carry_out(
            AddStake(address("new"), RAO), key("cold")
        )  # whoever sits on root is a delegate


async def test_a_seat_on_root_is_a_place_and_its_loss_the_loss_of_one(embedded: Opener) -> None:
    """Who is pruned from its last subnet keeps its stake while it sits on root, and gets it back where it does not."""
    async with embedded(root_seats=1) as chain:
        await chain.carry_out(RootRegister(address("v2")), key("cold"))
        staked = await chain.stake(address("v2"))
        uid = next(n.uid for n in (await chain.metagraph(1)).neurons if n.hotkey == address("v2"))
        await chain.replace(1, uid, address("other"), address("rich"))
        assert await chain.stake(address("v2")) == staked
        await chain.carry_out(RootRegister(address("v0")), key("cold"))
        assert await chain.stake(address("v2")) == 0
        told = [event.data for event in await chain.events(0) if event.name == "StakeReleased"]
        assert told == [{"hotkey": address("v2"), "coldkey": address("cold"), "amount": staked}]
