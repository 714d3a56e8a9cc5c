"""Hotkeys that validate with others' stake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.chain import CallRefused, Genesis, Keypair, Register, SetChildren, SetChildTake, SetWeights
from ranvier.chain.children import WHOLE, Families, shared
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.payment import Payment

Opener = Callable[..., EmbeddedChain]


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


@pytest.fixture
def embedded(make_genesis: Callable[..., Genesis]) -> Opener:
    return lambda **changes: EmbeddedChain(make_genesis(**{"children_delay": 2, **changes}))


async def refused(chain: EmbeddedChain, call: Any, signer: str) -> str:
    with pytest.raises(CallRefused) as caught:
        await chain.carry_out(call, key(signer))
    return caught.value.name


def test_dividends_return_to_whose_stake_earned_them_less_the_childs_take() -> None:
    families = Families(children={"parent": ((WHOLE // 2, "child"),)}, takes={"child": 6553})
    stakes, owners = {"parent": 600, "child": 100}, {"parent": "a", "child": "b"}
    paid = shared([Payment("child", 7, 1000)], families, stakes.__getitem__, owners)
    # 299 of 399 rao are the parent's (floors): 749 of 1,000, less a tenth.
    assert paid == (Payment("parent", 0, 749 - 749 * 6553 // 65535), Payment("child", 7, 1000 - 675))
    same = shared([Payment("child", 7, 1000)], families, stakes.__getitem__, {"parent": "a", "child": "a"})
    assert same[0].validator == 749, "an owner takes nothing from itself"


parts = st.lists(
    st.tuples(st.integers(0, WHOLE // 3), st.sampled_from("cde")), max_size=3, unique_by=lambda one: one[1]
)


@given(
    children=st.dictionaries(st.sampled_from("ab"), parts.map(tuple)),
    stakes=st.lists(st.integers(0, 21 * 10**15), min_size=5, max_size=5),
    amounts=st.lists(st.integers(0, 10**12), min_size=5, max_size=5),
    take=st.integers(0, 11796),
)
def test_no_rao_and_no_voice_is_made_or_lost(
    children: dict[str, Any], stakes: list[int], amounts: list[int], take: int
) -> None:
    held = dict(zip("abcde", stakes, strict=True))
    families = Families(children={k: v for k, v in children.items() if v}, takes={"c": take})
    payments = [Payment(name, amount // 3, amount) for name, amount in zip("abcde", amounts, strict=True)]
    paid = shared(payments, families, held.__getitem__, {name: name for name in "abcde"})
    assert sum(p.validator for p in paid) == sum(amounts)
    assert sum(p.server for p in paid) == sum(amount // 3 for amount in amounts)
    assert all(p.validator >= 0 for p in paid)
    voices = [families.voices(name, held.__getitem__) for name in "abcde"]
    assert sum(sum(voice.values()) for voice in voices) <= sum(stakes)


async def test_children_validate_after_the_delay_from_the_next_epoch(embedded: Opener) -> None:
    async with embedded(max_allowed_validators=3) as chain:
        await chain.carry_out(Register(1, address("child")), key("rich"))
        stake = await chain.stake(address("v0"))
        await chain.carry_out(SetChildren(address("v0"), 1, ((WHOLE, address("child")),)), key("cold"))
        assert (await chain.metagraph(1)).by_hotkey(address("child")).stake == 0
        await chain.advance(12)
        graph = await chain.metagraph(1)
        assert graph.by_hotkey(address("v0")).stake == 0
        assert graph.by_hotkey(address("child")).stake >= stake
        assert graph.by_hotkey(address("child")).validator_permit
        before = await chain.stake(address("v0"))
        await chain.carry_out(SetWeights(1, (3, 4), (1, 1)), key("child"))
        await chain.advance(12)
        assert await chain.stake(address("v0")) > before, "its dividends come back"
        await chain.carry_out(SetChildren(address("v0"), 1, ()), key("cold"))
        await chain.advance(12)
        assert (await chain.metagraph(1)).by_hotkey(address("child")).stake < stake


async def test_choices_are_checked(embedded: Opener) -> None:
    async with embedded(children_interval=5, max_take=9000, take_interval=4, max_children=2) as chain:
        choose = lambda *children: SetChildren(address("v0"), 1, children)  # noqa: E731
        one, two, three = (address(name) for name in ("v1", "v2", "m0"))
        assert await refused(chain, choose((1, one)), "rich") == "NonAssociatedColdKey"
        assert await refused(chain, choose((1, address("v0"))), "cold") == "InvalidChild"
        assert await refused(chain, choose((1, one), (2, one)), "cold") == "DuplicateChild"
        assert await refused(chain, choose((WHOLE, one), (1, two)), "cold") == "ProportionOverflow"
        assert await refused(chain, choose((1, one), (1, two), (1, three)), "cold") == "TooManyChildren"
        await chain.carry_out(choose((1, one)), key("cold"))
        assert await refused(chain, choose((2, one)), "cold") == "TxRateLimitExceeded"
        circle = SetChildren(one, 1, ((1, address("v0")),))
        assert await refused(chain, circle, "cold") == "ParentChildCannotBeOnSameHotkey"
        assert await refused(chain, SetChildTake(one, 1, 9001), "cold") == "InvalidChildkeyTake"
        await chain.carry_out(SetChildTake(one, 1, 100), key("cold"))
        assert await refused(chain, SetChildTake(one, 1, 200), "cold") == "TxRateLimitExceeded"
        await chain.carry_out(SetChildTake(one, 1, 50), key("cold"))
