"""Child hotkeys on subnets with alpha: both kinds of stake are handed on, and both kinds of dividends come back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bittensor_core import encode_ss58
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from test_alpha import OWNER, RICH, STAKER, TAO, VALI, WORK, block, genesis, market

from ranvier.chain.alpha import divided
from ranvier.chain.birth import first_state
from ranvier.chain.calls import (
    AddStake,
    CreateSubnet,
    DissolveSubnet,
    MoveStake,
    Register,
    SetChildren,
    SetChildTake,
    SetWeights,
)
from ranvier.chain.children import WHOLE, shared
from ranvier.chain.genesis import Genesis
from ranvier.chain.payment import Payment
from ranvier.chain.records import decode, encode, names, state_hash
from ranvier.chain.state import ChainState, root_worth

CHILD = str(encode_ss58(bytes([120]) * 32, 42))
TAKE = 9000


def family(part: int, coldkey: str = RICH) -> tuple[ChainState, Genesis]:
    """The validator has 1000 TAO on root and 20 TAO's worth of alpha; `part` of both is a child's from now on."""
    born = genesis(children_delay=0, children_interval=0)
    state = first_state(born)
    state.ledger.mint(STAKER, TAO)
    done = block(
        *(state, born),
        (coldkey, Register(1, CHILD)),
        (RICH, AddStake(VALI, 20 * TAO, 1)),
        (coldkey, SetChildTake(CHILD, 1, TAKE)),
        (STAKER, SetChildren(VALI, 1, ((part, CHILD),))),
    )
    assert done == [None] * 4
    return state, born


def to_epoch(state: ChainState, born: Genesis) -> None:
    """Up to the next block with an epoch of subnet 1, whose payments are on their way."""
    last = state.subnets[1].last_step
    while state.subnets[1].last_step == last:
        block(state, born)


@pytest.mark.parametrize("part", [WHOLE // 2, WHOLE // 3, WHOLE])
def test_a_child_counts_its_part_of_alpha_and_of_tao(part: int) -> None:
    state, born = family(part)
    to_epoch(state, born)
    subnet, alpha, tao = state.subnets[1], market(state).staked(VALI), state.ledger.staked(VALI)
    assert state.stake_on(subnet, CHILD) == alpha * part // WHOLE + root_worth(tao * part // WHOLE)
    left = alpha * (WHOLE - part) // WHOLE + root_worth(tao * (WHOLE - part) // WHOLE)
    assert state.stake_on(subnet, VALI) == left
    # Nothing has moved, and on the other subnet nothing is different.
    assert market(state).staked(CHILD) == state.ledger.staked(CHILD) == 0
    assert state.stake_on(state.subnets[2], VALI) == root_worth(tao)
    assert state.stake_on(state.subnets[2], CHILD) == 0
    again = decode({k: v for k, v in encode(state, names(state)).items() if v is not None}, 500)
    assert state_hash(again) == state_hash(state)
    assert again.stake_on(again.subnets[1], CHILD) == state.stake_on(subnet, CHILD)


@pytest.mark.parametrize("coldkey", [RICH, STAKER])
def test_dividends_of_a_child_come_back_as_alpha_and_as_tao(coldkey: str) -> None:
    """All of the parent's stake is the child's to validate with: it keeps its take, of its own owner's nothing."""
    state, born = family(WHOLE, coldkey)
    to_epoch(state, born)
    assert block(state, born, (CHILD, SetWeights(1, (1,), (1,)))) == [None]
    for _ in range(2):
        to_epoch(state, born)
    subnet = state.subnets[1]
    given = {payment.hotkey: payment for payment in subnet.loaded if payment.validator or payment.root}
    assert given.keys() == ({VALI, CHILD} if coldkey != STAKER else {VALI})
    assert given[VALI].root > 0, "root's stake behind the child is the parent's"
    if coldkey != STAKER:
        child = given[CHILD]
        assert child.root == 0
        whole = sum(one.validator + one.root for one in given.values())
        earned = subnet.slots[subnet.uids[CHILD]].emission
        assert whole in range(earned - 2, earned + 1)
        assert child.server == 0
    before = {
        "parent": market(state).stake_of(VALI, RICH),
        "child": market(state).stake_of(CHILD, RICH),
        "root": state.ledger.stake_of(VALI, STAKER),
        "total": state.ledger.total(),
    }
    block(state, born)
    assert market(state).stake_of(VALI, RICH) > before["parent"], (
        "who staked alpha to the parent is paid in it"
    )
    assert state.ledger.stake_of(VALI, STAKER) > before["root"], "who staked TAO to it is paid in TAO"
    gained = market(state).stake_of(CHILD, RICH) - before["child"]
    assert gained == (given[CHILD].validator if coldkey != STAKER else 0)
    assert state.ledger.total() == state.ledger.issuance
    assert market(state).total() == market(state).issued


def test_dividends_are_shared_by_what_both_kinds_of_stake_count() -> None:
    """By hand: the child has alpha of its own, its parent alpha and 1000 TAO, which count as 52.7 alpha."""
    state, born = family(WHOLE)
    block(state, born, (RICH, AddStake(CHILD, 10 * TAO, 1)))
    to_epoch(state, born)
    assert block(state, born, (CHILD, SetWeights(1, (1,), (1,)))) == [None]
    for _ in range(2):
        to_epoch(state, born)
    given = {payment.hotkey: payment for payment in state.subnets[1].loaded if payment.validator}
    alpha, tao = market(state).staked(VALI), root_worth(state.ledger.staked(VALI))
    own = market(state).staked(CHILD)
    part = (alpha + tao) / (alpha + tao + own)
    passed_on = part * (1 - TAKE / 65535)
    by_alpha = passed_on * alpha / (alpha + tao)
    expected = (1 - passed_on) / (1 - passed_on + by_alpha)
    got = given[CHILD].validator / (given[CHILD].validator + given[VALI].validator)
    assert got == pytest.approx(expected, rel=1e-6)
    assert 0.2 < part - own / (alpha + own) < 0.8, "TAO matters here"


def test_alpha_that_moves_to_the_child_is_its_own() -> None:
    state, born = family(WHOLE // 2)
    to_epoch(state, born)
    held = market(state).stake_of(VALI, RICH)
    assert block(state, born, (RICH, MoveStake(VALI, CHILD, held, 1, 1))) == [None]
    subnet, tao = state.subnets[1], state.ledger.staked(VALI)
    rest = market(state).staked(VALI)
    assert state.stake_on(subnet, CHILD) == held + rest * (WHOLE // 2) // WHOLE + root_worth(
        tao * (WHOLE // 2) // WHOLE
    )


def test_a_dissolved_subnet_takes_its_families_along() -> None:
    """Who has the number next begins without children, and the holders are paid whoever validated."""
    state, born = family(WHOLE)
    to_epoch(state, born)
    before = state.ledger.balance(RICH)
    assert block(state, born, (OWNER, DissolveSubnet(1))) == [None]
    assert state.ledger.balance(RICH) > before
    assert block(state, born, (OWNER, CreateSubnet(OWNER, "next"))) == [None]
    assert state.subnets[1].families.children == {}
    assert state.stake_on(state.subnets[1], CHILD) == 0


amounts = st.integers(0, 10**15)


@given(
    alphas=st.lists(amounts, min_size=3, max_size=3),
    taos=st.lists(amounts, min_size=3, max_size=3),
    parts=st.lists(st.integers(0, WHOLE // 2), min_size=2, max_size=2),
    earned=st.lists(st.integers(0, 10**12), min_size=3, max_size=3),
    pending_root=st.integers(0, 4 * 10**12),
    take=st.integers(0, 11796),
)
def test_what_an_epoch_gave_is_divided_without_remainder_made_up(
    alphas: list[int], taos: list[int], parts: list[int], earned: list[int], pending_root: int, take: int
) -> None:
    """Two parents of one child: root's part and alpha's part together are never more than was earned."""
    born = genesis()
    state, hotkeys = first_state(born), (VALI, WORK, CHILD)
    subnet = state.subnets[1]
    state.ledger.own(CHILD, RICH)
    for hotkey, alpha, tao in zip(hotkeys, alphas, taos, strict=True):
        market(state).restake(hotkey, RICH, alpha)
        state.ledger.mint_stake(hotkey, tao, RICH)
    subnet.families.children = {VALI: ((parts[0], CHILD),), WORK: ((parts[1], CHILD),)}
    subnet.families.takes[CHILD] = take
    market(state).pending_root = pending_root
    rows = [Payment(hotkey, 0, amount) for hotkey, amount in zip(hotkeys, earned, strict=True)]
    passed_on = shared(rows, subnet.families, state.worth_on(subnet), state.ledger.owners)
    assert sum(one.validator for one in passed_on) == sum(earned)
    paid = divided(state, subnet, passed_on)
    root, alpha = sum(one.root for one in paid), sum(one.validator for one in paid)
    behind = [market(state).staked(one.hotkey) for one in passed_on if one.validator]
    assert root <= min(pending_root, sum(earned)) or not any(behind)
    assert sum(earned) - 2 * len(paid) <= root + alpha <= sum(earned)
    assert all(one.root >= 0 and one.validator >= 0 for one in paid)
    assert all(one.root == 0 for one in paid if state.ledger.staked(one.hotkey) == 0)
