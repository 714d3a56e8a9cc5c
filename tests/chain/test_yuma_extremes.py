"""The form of an input does not matter, its extremes neither, and bonds come back from storage as they went."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from random_subnets import subnets

from ranvier.chain.epoch_input import EpochInput, YumaParams
from ranvier.chain.epoch_result import EpochResult
from ranvier.chain.sparse import SparseRows
from ranvier.chain.variants import VARIANTS
from ranvier.chain.yuma import epoch

FORMS = [("2024", False), ("2024", True), ("y2", False), ("y3", False), ("y3", True)]


def told(result: EpochResult) -> dict[str, Any]:
    found = {field.name: getattr(result, field.name) for field in fields(result)}
    return {**found, "bonds": result.bonds.to_dict()}


def voters(variant: str, n: int, *, liquid: bool = False, **changes: Any) -> EpochInput:
    """Up to 64 voters of equal weight for all the others, or one for itself."""
    count = min(64, max(1, n // 2))
    rows = {uid: dict.fromkeys(range(count, n) or [0], 65535) for uid in range(count)}
    good = EpochInput(
        variant=variant,
        block=1000,
        last_update=[900] * n,
        registered_at=[0] * n,
        stake=[10**9 if uid < count else 0 for uid in range(n)],
        permits=[uid < count for uid in range(n)],
        weights=SparseRows.from_dict(rows),
        bonds=SparseRows.empty(),
        emission=10**9,
        params=YumaParams(max_allowed_validators=count, liquid_alpha=liquid),
        last_step=640,
    )
    return replace(good, **changes)


def in_range(result: EpochResult, given_out: int) -> None:
    for name in ("rank", "trust", "consensus", "incentive", "dividends", "validator_trust", "pruning"):
        assert all(0 <= value <= 65535 for value in getattr(result, name)), name
    assert sum(result.server_emission) + sum(result.validator_emission) <= given_out
    assert min(result.emission) >= 0
    assert result.bonds.values.dtype == np.uint16


@settings(max_examples=150, deadline=None)
@given(subnets(), st.lists(st.integers(1, 255), min_size=7, max_size=7))
def test_only_the_shares_of_a_row_count(subnet: EpochInput, factors: list[int]) -> None:
    """A row of weights times a whole number is the same row."""
    rows = subnet.weights.to_dict()
    small = {i: {j: w // 257 for j, w in row.items()} for i, row in rows.items()}
    large = {i: {j: w * factors[i] for j, w in row.items()} for i, row in small.items()}
    first, second = (replace(subnet, weights=SparseRows.from_dict(form)) for form in (small, large))
    assert told(epoch(first)) == told(epoch(second))


@settings(max_examples=150, deadline=None)
@given(subnets(), st.randoms(use_true_random=False))
def test_entries_have_no_order(subnet: EpochInput, random: Any) -> None:
    def shuffled(matrix: SparseRows) -> SparseRows:
        order = list(range(len(matrix.rows)))
        random.shuffle(order)
        return SparseRows(matrix.rows[order], matrix.cols[order], matrix.values[order])

    other = replace(subnet, weights=shuffled(subnet.weights), bonds=shuffled(subnet.bonds))
    assert told(epoch(subnet)) == told(epoch(other))


@settings(max_examples=150, deadline=None)
@given(subnets())
def test_sparse_equals_dense(subnet: EpochInput) -> None:
    """Listing every zero changes nothing; under liquid alpha of Yuma 3 it keeps bonds that would vanish."""

    def full(matrix: SparseRows) -> SparseRows:
        table, n = matrix.to_dict(), subnet.size
        return SparseRows.from_dict({i: {j: table.get(i, {}).get(j, 0) for j in range(n)} for i in range(n)})

    dense = replace(subnet, weights=full(subnet.weights), bonds=full(subnet.bonds))
    sparse, listed = epoch(subnet), epoch(dense)
    if subnet.variant == "y3" and subnet.params.liquid_alpha:
        kept = listed.bonds.to_dict()
        for row, entries in sparse.bonds.to_dict().items():
            assert entries.items() <= kept.get(row, {}).items()
        assert sparse.incentive == listed.incentive
    else:
        assert told(sparse) == told(listed)


def test_a_bond_to_a_miner_no_longer_listed_vanishes_under_liquid_yuma_3_and_else_decays() -> None:
    bonds = SparseRows.from_dict({0: {2: 40000, 3: 40000}, 1: {2: 40000, 3: 40000}})
    for liquid in (False, True):
        for left in ({2: 65535}, {2: 65535, 3: 0}):
            rows = SparseRows.from_dict({0: left, 1: {2: 65535, 3: 65535}})
            result = epoch(voters("y3", 4, liquid=liquid, weights=rows, bonds=bonds))
            held = result.bonds.to_dict()[0].get(3, 0)
            assert (held == 0) == (liquid and 3 not in left)
            assert held < 40000


@pytest.mark.parametrize(("variant", "liquid"), FORMS)
@pytest.mark.parametrize("n", [1, 2, 4096])
def test_the_ends_of_every_type(variant: str, liquid: bool, n: int) -> None:
    most = 2**64 - 1
    loud = voters(variant, n, liquid=liquid, stake=[most] * n, emission=most, block=2**63 - 1)
    loud = replace(loud, last_update=[2**62] * n, params=replace(loud.params, activity_cutoff=2**62))
    bonds = SparseRows.empty()
    for _ in range(2):
        result = epoch(replace(loud, bonds=bonds))
        in_range(result, most)
        bonds = result.bonds
    silent = epoch(replace(loud, stake=[0] * n))
    assert sum(silent.emission) == 0
    in_range(silent, most)
    one_rao = epoch(replace(loud, stake=[most] * (n - 1) + [1], emission=1))
    in_range(one_rao, 1)


@pytest.mark.parametrize(("variant", "liquid"), FORMS)
@pytest.mark.parametrize("kappa", [0, 65535])
def test_an_extreme_kappa_or_alpha_breaks_nothing(variant: str, liquid: bool, kappa: int) -> None:
    for low, high, steepness in ((0, 0, 0), (0, 65535, 32767), (65535, 65535, 1)):
        params = YumaParams(
            kappa=kappa,
            liquid_alpha=liquid,
            alpha_low=low,
            alpha_high=high,
            alpha_sigmoid_steepness=steepness,
            bonds_penalty=1,
        )
        rng = np.random.default_rng(steepness)
        bonds = SparseRows.from_dense(np.arange(4), rng.integers(0, 65536, (4, 8)).astype(np.uint16))
        rows = SparseRows.from_dense(np.arange(4), rng.integers(0, 65536, (4, 8)).astype(np.uint16))
        in_range(epoch(voters(variant, 8, params=params, bonds=bonds, weights=rows)), 10**9)


@settings(max_examples=100, deadline=None)
@given(subnets())
def test_bonds_come_back_from_storage_as_they_went(subnet: EpochInput) -> None:
    """Through the rows of the state and JSON, as the store keeps them."""
    first = epoch(subnet)
    rows = {row: {int(c): v for c, v in entries.items()} for row, entries in first.bonds.to_dict().items()}
    text = json.dumps({str(row): {str(c): v for c, v in entries.items()} for row, entries in rows.items()})
    back = {int(row): {int(c): v for c, v in entries.items()} for row, entries in json.loads(text).items()}
    direct = epoch(replace(subnet, bonds=first.bonds))
    assert told(epoch(replace(subnet, bonds=SparseRows.from_dict(back)))) == told(direct)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_what_nobody_renews_loses_one_part_in_65535_for_each_storage(variant: str) -> None:
    """Fixed point truncates each time: the reason why floats drift from the chain."""
    bonds = SparseRows.from_dict({0: {2: 12603}, 1: {2: 65535}})
    rows = {0: {0: 1}, 1: {1: 1}} if variant != "y3" else {}
    subnet = voters(
        variant,
        3,
        stake=[10**9, 10**9, 0],
        permits=[True, True, False],
        weights=SparseRows.from_dict(rows),
        params=YumaParams(max_allowed_validators=2, bonds_moving_average=1_000_000),
    )
    for step in range(1, 4):
        bonds = epoch(replace(subnet, bonds=bonds)).bonds
        assert bonds.to_dict()[0][2] == 12603 - step


@pytest.mark.parametrize(
    ("variant", "reached"), [("2024", True), ("y2", False), ("y3", False)], ids=list(VARIANTS)
)
def test_a_live_commitment_older_than_a_miner_says_nothing_about_it(variant: str, reached: bool) -> None:
    """The new holder of uid 3 came at block 500; two validators set weights later, but promised before."""
    subnet = voters(variant, 4, registered_at=[0, 0, 0, 500], commits={0: 499, 1: 100})
    assert (epoch(subnet).incentive[3] > 0) is reached
    assert epoch(replace(subnet, commits={0: 500, 1: 700})).incentive[3] > 0
    assert epoch(replace(subnet, commits={})).incentive[3] > 0
