"""The vectorised epoch against a plain one in Python integers, and what must hold for any subnet."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from plain_yuma import div, mul, plain_epoch
from random_subnets import subnets

from ranvier.chain.epoch_input import EpochInput, YumaParams
from ranvier.chain.errors import MalformedEpoch
from ranvier.chain.fixed import ONE, divide, multiply
from ranvier.chain.sparse import SparseRows
from ranvier.chain.variants import VARIANTS
from ranvier.chain.yuma import epoch


@settings(max_examples=400, deadline=None)
@given(subnets())
def test_it_equals_the_plain_integers(subnet: EpochInput) -> None:
    agree(subnet)


def agree(subnet: EpochInput) -> None:
    want, got = plain_epoch(subnet), epoch(subnet)
    bonds = {(i, j): b for i, row in got.bonds.to_dict().items() for j, b in row.items()}
    assert bonds == want.pop("bonds")
    for name, values in want.items():
        assert getattr(got, name) == values, name


@pytest.mark.parametrize("liquid", [False, True])
@pytest.mark.parametrize("variant", list(VARIANTS))
@pytest.mark.parametrize("seed", range(2))
def test_it_equals_the_plain_integers_on_a_real_size(variant: str, seed: int, liquid: bool) -> None:
    rng = np.random.default_rng(seed)
    n, voters = 64, 16
    rows = np.arange(voters)
    weights = rng.integers(0, 65536, (voters, n)) * (rng.random((voters, n)) < 0.6)
    bonds = rng.integers(0, 65536, (voters, n))
    subnet = EpochInput(
        variant=variant,
        block=1000,
        last_update=rng.integers(900, 1000, n).tolist(),
        registered_at=rng.integers(0, 950, n).tolist(),
        stake=rng.integers(10**9, 10**13, n).tolist(),
        permits=[uid < voters for uid in range(n)],
        weights=SparseRows.from_dense(rows, weights.astype(np.uint16)),
        bonds=SparseRows.from_dense(rows, bonds.astype(np.uint16)),
        emission=361 * 10**9,
        params=YumaParams(
            max_allowed_validators=voters, bonds_penalty=(30000, 65535)[seed], liquid_alpha=liquid
        ),
        last_step=640,
    )
    agree(subnet)


@settings(max_examples=150, deadline=None)
@given(subnets(most=12))
def test_nothing_is_paid_that_was_not_given(subnet: EpochInput) -> None:
    result = epoch(subnet)
    paid = sum(result.server_emission) + sum(result.validator_emission)
    assert 0 <= paid <= subnet.emission
    assert sum(result.emission) <= subnet.emission
    assert sum(result.incentive) <= 65535
    assert sum(result.dividends) <= 65535
    if sum(subnet.effective_stake()):
        # Each of at most 3n floors loses less than one rao, each share less than 2**-32 of the emission.
        lost = 3 * len(subnet.stake) * (1 + subnet.emission / ONE)
        assert subnet.emission - paid <= lost


@settings(max_examples=100, deadline=None)
@given(subnets(), st.randoms(use_true_random=False))
def test_only_ties_know_the_order_of_uids(subnet: EpochInput, random: Any) -> None:
    """Renumbering the uids renumbers the result; equal stakes decide permits by uid, so stakes differ here."""
    n = len(subnet.stake)
    stake = [s // 64 * 64 + (uid << 22) + 1 for uid, s in enumerate(subnet.stake)]
    permits = subnet.params.max_allowed_validators >= n or len({(s << 32) // sum(stake) for s in stake}) == n
    new = list(range(n))
    random.shuffle(new)
    moved = lambda values: [values[new.index(uid)] for uid in range(n)]  # noqa: E731
    rows = lambda m: SparseRows.from_dict(  # noqa: E731
        {new[i]: {new[j]: v for j, v in row.items()} for i, row in m.to_dict().items()}
    )
    owner = subnet.params.owner_uid
    subnet = replace(subnet, stake=stake)
    other = replace(
        subnet,
        stake=moved(stake),
        last_update=moved(subnet.last_update),
        registered_at=moved(subnet.registered_at),
        permits=moved(subnet.permits),
        weights=rows(subnet.weights),
        bonds=rows(subnet.bonds),
        commits={new[uid]: block for uid, block in subnet.commits.items()},
        params=replace(subnet.params, owner_uid=None if owner is None else new[owner]),
    )
    first, second = epoch(subnet), epoch(other)
    for name in ("incentive", "dividends", "consensus", "trust", "server_emission", "validator_emission"):
        assert moved(getattr(first, name)) == list(getattr(second, name)), name
    if permits:
        assert moved(first.permits) == list(second.permits)


def test_one_whole_validator_and_one_whole_weight_do_not_overflow() -> None:
    """Stake 1, weight 1, bond 1: every product is one times one, the only one that leaves 64 bits."""
    one = SparseRows.from_dict({0: {1: 65535}})
    result = epoch(EpochInput("2024", 1, [1, 1], [0, 0], [21 * 10**15, 0], [True, False], one, one, 10**9))
    assert result.incentive == (0, 65535)
    assert result.dividends == (65535, 0)
    assert result.emission == (500_000_000, 500_000_000)
    assert result.bonds.to_dict() == {0: {1: 65535}}


@given(st.lists(st.tuples(st.integers(0, ONE), st.integers(0, ONE)), min_size=1))
@example([(ONE, 1)])
def test_products_and_quotients_are_exact(pairs: list[tuple[int, int]]) -> None:
    left, right = (np.array(column, dtype=np.uint64) for column in zip(*pairs, strict=True))
    assert multiply(left, right).tolist() == [mul(a, b) for a, b in pairs]
    # One over the smallest fraction is 2**64: the only quotient of these that 64 bits do not hold.
    assert divide(left, right).tolist() == [div(a, b) % 2**64 for a, b in pairs]
    assert divide(left * np.uint64(65535), right).tolist() == [div(a * 65535, b) % 2**64 for a, b in pairs]


def test_an_even_split_takes_the_higher_value_and_a_minority_takes_nothing() -> None:
    def self_dealer(stake: list[int]) -> tuple[int, ...]:
        weights = SparseRows.from_dict({0: {2: 65535}, 1: {3: 65535}})
        n = len(stake)
        return epoch(
            EpochInput("2024", 2, [1] * n, [0] * n, stake, [True] * n, weights, SparseRows.empty(), 10**9)
        ).incentive

    assert self_dealer([50, 50, 0, 0]) == (0, 0, 32767, 32767)
    assert self_dealer([60, 40, 0, 0]) == (0, 0, 65535, 0)


def test_validators_that_share_no_miner_support_nobody() -> None:
    rng = np.random.default_rng(5)
    weights = {row: {int(c): 65535 for c in 64 + rng.choice(192, 19, replace=False)} for row in range(64)}
    result = epoch(
        EpochInput(
            variant="2024",
            block=2,
            last_update=[1] * 256,
            registered_at=[0] * 256,
            stake=[10**9] * 64 + [0] * 192,
            permits=[True] * 64 + [False] * 192,
            weights=SparseRows.from_dict(weights),
            bonds=SparseRows.empty(),
            emission=64 * 10**6,
        )
    )
    assert sum(result.incentive) == 0
    assert result.emission == (10**6,) * 64 + (0,) * 192


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stake": [1, 2]}, "one common length"),
        ({"stake": [-1]}, "never negative"),
        ({"weights": SparseRows.from_dict({0: {1: 1}})}, "weights name uids 0..1"),
        ({"variant": "y9"}, "no Yuma variant 'y9'; use one of 2024, y2, y3"),
    ],
)
def test_a_contradictory_input_is_named(change: dict[str, Any], words: str) -> None:
    good = EpochInput("2024", 1, [1], [0], [1], [True], SparseRows.empty(), SparseRows.empty(), 1)
    with pytest.raises(MalformedEpoch, match=words):
        epoch(replace(good, **change))
