"""Emission, prices, pruning, schedule and the weight checks, against the published figures and their invariants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.chain import emission, pricing, pruning, schedule
from ranvier.chain.weights import WeightsCall, max_upscale, refuse_weights

TAO = 10**9
AMOUNTS = st.integers(0, 21 * 10**15)


@given(st.integers(0, 22 * 10**15), st.integers(0, 10**15))
def test_the_reward_never_grows_and_never_passes_the_supply(issuance: int, more: int) -> None:
    reward = emission.block_emission(issuance)
    assert 0 <= emission.block_emission(issuance + more) <= reward
    assert issuance >= emission.RAO_SUPPLY or issuance + reward <= emission.RAO_SUPPLY


@pytest.mark.parametrize("halvings", range(6))
def test_the_reward_halves_exactly_at_its_thresholds(halvings: int) -> None:
    threshold = emission.RAO_SUPPLY - (emission.RAO_SUPPLY >> halvings)
    assert emission.block_emission(threshold) == TAO >> halvings
    if halvings:
        assert emission.block_emission(threshold - 1) == TAO >> (halvings - 1)


@pytest.mark.parametrize("halvings", range(9))
def test_without_recycling_a_halving_takes_ten_and_a_half_million_blocks(halvings: int) -> None:
    """10.5, 15.75, 18.375, 19.6875 ... million TAO; what is recycled puts them off by as much."""
    first, last = (emission.RAO_SUPPLY - (emission.RAO_SUPPLY >> k) for k in (halvings, halvings + 1))
    reward = emission.block_emission(first)
    assert (last - first) / reward == 10_500_000
    assert emission.block_emission(last - reward) == reward
    assert emission.block_emission(last - 1) == 2 * emission.block_emission(last) == reward


def test_the_owner_takes_eighteen_percent() -> None:
    owner, rest = emission.split_owner(TAO)
    assert (owner, rest) == (179_995_422, 820_004_578)


@given(AMOUNTS, st.integers(0, 65535), st.lists(AMOUNTS, max_size=8))
def test_splits_lose_no_rao(amount: int, ratio: int, stakes: list[int]) -> None:
    owner, rest = emission.split_owner(amount, ratio)
    assert owner + rest == amount
    assert owner >= 0 <= rest
    parts, left = emission.share_out(amount, stakes)
    assert sum(parts) + left == amount
    assert left >= 0
    delegate, nominators = emission.split_delegate(amount, ratio, stakes)
    assert delegate + sum(nominators) == amount
    assert delegate >= (amount * ratio) // 65535 - 1
    divided = emission.divide_by_shares(amount, stakes)
    assert sum(divided) == (amount if sum(stakes) else 0)


ALPHA_97 = 17893341751498265066


def test_prices_move_as_published() -> None:
    crowded = deserted = TAO
    for _ in range(20):
        crowded = pricing.adjust_price(crowded, 1, 100 * TAO, ALPHA_97, 3, 1)
    for _ in range(24):
        deserted = pricing.adjust_price(deserted, 1, 100 * TAO, ALPHA_97, 0, 1)
    assert (round(crowded / TAO, 3), round(deserted / TAO, 3)) == (1.806, 0.696)
    assert pricing.adjust_price(TAO, 1, 100 * TAO, 0, 3, 1) == 2 * TAO
    assert pricing.adjust_price(TAO, 1, 100 * TAO, 0, 0, 1) == TAO // 2
    assert pricing.adjust_price(TAO, 1, 3 * TAO // 2, 0, 3, 1) == 3 * TAO // 2
    assert pricing.adjust_price(TAO, 1, 100 * TAO, 2**64 - 1, 9, 1) == TAO


def test_the_2026_price_jumps_and_decays_back() -> None:
    price = TAO
    for _ in range(10):
        price = pricing.raise_price(price, 500_000, 100 * TAO)
    assert round(price / TAO, 2) == 10.09
    factor = pricing.decay_factor(360)
    for _ in range(1200):
        price = pricing.decay_price(price, 500_000, 100 * TAO, factor)
    assert abs(price / TAO - 1) < 0.002
    assert pricing.decay_factor(0) == 2**32


@pytest.mark.parametrize(
    ("burns", "works", "burn", "difficulty"),
    [(3, 0, 2000, 1000), (0, 3, 1000, 2000), (2, 2, 2500, 2500), (0, 0, 500, 500), (1, 0, 1000, 1000)],
)
def test_the_way_that_was_used_becomes_dearer(burns: int, works: int, burn: int, difficulty: int) -> None:
    before = pricing.Demand(1000, 1, 10**6, 1000, 1, 10**6, 0, 1, burns, works)
    after = pricing.adjust_prices(before)
    assert (after.burn, after.difficulty, after.by_burn, after.by_work) == (burn, difficulty, 0, 0)


def test_without_demand_the_unused_way_becomes_cheaper() -> None:
    before = pricing.Demand(1000, 1, 10**6, 1000, 1, 10**6, 0, 4, 2, 1)
    after = pricing.adjust_prices(before)
    assert (after.burn, after.difficulty) == (1000, 875)


DAY = 7200


@pytest.mark.parametrize(
    ("last", "minimum", "interval", "days", "cost"),
    [
        (100, 100, 100_800, 0, 200),
        (100, 100, 100_800, 1, 192.857),
        (100, 100, 100_800, 3.5, 175.000),
        (100, 100, 100_800, 7, 150.000),
        (100, 100, 100_800, 10, 128.571),
        (100, 100, 100_800, 14, 100),
        (2500, 1000, 57_600, 0, 5000),
        (2500, 1000, 57_600, 1, 4687.5),
        (2500, 1000, 57_600, 7, 2812.5),
        (2500, 1000, 57_600, 14, 1000),
    ],
)
def test_lock_costs_as_published(last: int, minimum: int, interval: int, days: float, cost: float) -> None:
    block = 1000 + int(days * DAY)
    got = pricing.lock_cost(last * TAO, 1000, block, minimum * TAO, interval)
    assert round(got / TAO, 3) == cost


def test_the_first_subnet_pays_the_minimum() -> None:
    assert pricing.lock_cost(100 * TAO, None, 0, 100 * TAO, 100_800) == 100 * TAO


@pytest.mark.parametrize(
    ("scores", "since", "uid"),
    [
        ([5, 3, 3, 9], [0, 0, 0, 0], 2),
        ([5, 3, 3, 9], [0, 0, 95, 0], 1),
        ([5, 3, 3, 9], [95, 95, 95, 95], 1),
        ([65535, 65535, 3, 3], [0, 0, 95, 95], 2),
        ([65535, 65535], [0, 0], 0),
        ([1], [0], 0),
    ],
)
def test_who_is_pruned_in_2024(scores: list[int], since: list[int], uid: int) -> None:
    assert pruning.prune_2024(scores, since, block=100, immunity=10) == uid


def test_two_registrations_in_an_epoch_take_two_neurons() -> None:
    scores = [5, 3, 3, 9]
    taken = []
    for _ in range(2):
        taken.append(pruning.prune_2024(scores, [0] * 4, 100, 10))
        scores[taken[-1]] = pruning.PRUNED_SCORE
    assert taken == [2, 1]


@pytest.mark.parametrize(
    ("paid", "since", "immortal", "keep", "uid"),
    [
        ([5, 3, 3, 9], [0, 4, 2, 0], (), 1, 2),
        ([5, 3, 3, 9], [0, 2, 2, 0], (), 1, 1),
        ([5, 3, 3, 9], [0, 4, 2, 0], (2,), 1, 1),
        ([5, 3, 3, 9], [0, 4, 95, 0], (), 1, 1),
        ([5, 3, 3, 9], [0, 4, 95, 0], (), 3, 2),
        ([5, 3], [0, 0], (), 10, None),
        ([5, 3, 7], [0, 0, 95], (0,), 1, 2),
        ([5], [0], (0,), 0, None),
    ],
)
def test_who_is_pruned_in_2026(
    paid: list[int], since: list[int], immortal: tuple[int, ...], keep: int, uid: int | None
) -> None:
    assert pruning.prune_head(paid, since, 100, 10, immortal=immortal, keep_open=keep) == uid


@given(st.integers(0, 10**6), st.integers(0, 300), st.integers(1, 400))
def test_2024_epochs_come_every_tempo_plus_one_blocks(block: int, netuid: int, tempo: int) -> None:
    first = schedule.next_epoch_2024(block, netuid, tempo)
    assert first is not None
    assert block <= first <= block + tempo
    assert schedule.epoch_due_2024(first, netuid, tempo)
    assert schedule.next_epoch_2024(first + 1, netuid, tempo) == first + tempo + 1


def test_tempo_zero_never_comes() -> None:
    assert schedule.next_epoch_2024(5, 1, 0) is None
    assert not schedule.epoch_due_2024(5, 1, 0)
    assert not schedule.epoch_due_head(5, 0, 0)


def test_2026_epochs_are_two_a_block_and_the_late_go_first() -> None:
    assert schedule.first_step_head(7, 370, 360) == 17
    assert not schedule.epoch_due_head(376, 17, 360)
    assert schedule.epoch_due_head(377, 17, 360)
    assert schedule.epochs_in_block_head(20, [(1, 10, 10), (2, 8, 10), (3, 10, 10), (4, 15, 10)]) == (2, 1)


CALL = WeightsCall(
    uids=(1, 2),
    values=(100, 50),
    version_key=3,
    subnet_exists=True,
    neurons=4,
    uid=0,
    stake=10,
    permit=True,
    last_update=100,
    block=200,
    minimum_stake=10,
    required_version=3,
    minimum_count=2,
    maximum=50_000,
)
REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"uids": (1, 2, 3)}, "WeightVecNotEqualSize"),
    ({"subnet_exists": False}, "SubNetworkDoesNotExist"),
    ({"uids": (1,) * 5, "values": (1,) * 5}, "UidsLengthExceedUidsInSubNet"),
    ({"uid": None}, "HotKeyNotRegisteredInSubNet"),
    ({"stake": 9}, "NotEnoughStakeToSetWeights"),
    ({"version_key": 2}, "IncorrectWeightVersionKey"),
    ({"block": 199}, "SettingWeightsTooFast"),
    ({"permit": False}, "NeuronNoValidatorPermit"),
    ({"uids": (1, 1)}, "DuplicateUids"),
    ({"uids": (1, 4)}, "UidVecContainInvalidOne"),
    ({"uids": (1,), "values": (1,)}, "WeightVecLengthIsLow"),
    ({"values": (100, 1)}, "MaxWeightExceeded"),
]


@pytest.mark.parametrize(("change", "name"), REFUSALS, ids=[name for _, name in REFUSALS])
def test_each_refusal_by_the_chains_name(change: dict[str, Any], name: str) -> None:
    assert refuse_weights(CALL) is None
    assert refuse_weights(replace(CALL, **change)) == name


def test_the_first_of_two_failures_is_named() -> None:
    """Each refusal stands before every later one that can be true together with it."""
    for at, (change, name) in enumerate(REFUSALS):
        for later, _ in REFUSALS[at + 1 :]:
            if not set(change) & set(later):
                assert refuse_weights(replace(CALL, **change, **later)) == name


def test_a_single_self_weight_is_exempt() -> None:
    alone = replace(CALL, uids=(0,), values=(7,), permit=False)
    assert refuse_weights(alone) is None
    assert refuse_weights(replace(alone, last_update=150)) == "SettingWeightsTooFast"
    assert refuse_weights(replace(alone, block=1, last_update=0)) is None


@given(st.lists(st.integers(0, 65535), max_size=20))
def test_upscaled_weights_end_at_65535_and_keep_their_order(values: list[int]) -> None:
    scaled = max_upscale(values)
    assert len(scaled) == len(values)
    if any(values):
        assert max(scaled) == 65535
        assert max_upscale(scaled) == scaled
    pairs = sorted(zip(values, scaled, strict=True))
    assert [s for _, s in pairs] == sorted(s for _, s in pairs)
    for value, result in pairs:
        assert abs(result - value * 65535 / max(1, max(values))) <= 0.5 + 2**-16


def test_upscaling_truncates_its_factor_only_above_one_half() -> None:
    """Both middle values are exact halves: the wide form loses it in the truncated 65535 / 65534."""
    assert max_upscale([65534, 32767]) == (65535, 32767)
    assert max_upscale([2, 1]) == (65535, 32768)
