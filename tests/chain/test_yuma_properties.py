"""The vectorised epoch against a plain one in Python integers, and what must hold for any subnet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.chain.epoch_input import EpochInput, YumaParams
from ranvier.chain.errors import MalformedEpoch
from ranvier.chain.fixed import ONE, divide, multiply
from ranvier.chain.sparse import SparseRows
from ranvier.chain.yuma import epoch

Table = dict[tuple[int, int], int]


def mul(a: int, b: int) -> int:
    return (a * b) >> 32


def div(a: int, b: int) -> int:
    return (a << 32) // b if b else 0


def normal(values: list[int]) -> list[int]:
    return [div(value, sum(values)) for value in values]


def by_row(table: Table, n: int) -> Table:
    sums = [sum(v for (i, _), v in table.items() if i == row) for row in range(n)]
    return {(i, j): div(v, sums[i]) for (i, j), v in table.items()}


def by_column(table: Table, n: int, pick: Any = sum) -> Table:
    sums = [pick([v for (_, j), v in table.items() if j == column] or [0]) for column in range(n)]
    return {(i, j): div(v, sums[j]) for (i, j), v in table.items()}


def plain_median(stake: list[int], scores: list[int], majority: int) -> int:
    """The runtime's own recursive partition, not a sort."""
    voices = [i for i, s in enumerate(stake) if s > 0]
    if not voices:
        return 0
    weight = dict(zip(voices, normal([stake[i] for i in voices]), strict=True))
    total = sum(weight.values())
    minority, members, low, high = total - majority, voices, 0, total
    while True:
        pivot = scores[members[len(members) // 2]]
        lower = [i for i in members if scores[i] < pivot]
        upper = [i for i in members if scores[i] > pivot]
        below = low + sum(weight[i] for i in lower)
        above = high - sum(weight[i] for i in upper)
        if below <= minority < above:
            return pivot
        if minority < below and lower:
            members, high = lower, below
        elif above <= minority and upper:
            members, low = upper, above
        else:
            return pivot


def plain_epoch(g: EpochInput) -> dict[str, Any]:
    n, p, late = len(g.stake), g.params, g.variant == "y2"
    active = [not g.last_update[i] + p.activity_cutoff < g.block for i in range(n)]
    total = sum(g.stake)
    share = [(s << 32) // total if total else 0 for s in g.stake]
    order = sorted(range(n), key=lambda i: share[i])
    permits = [True] * n
    for uid in order[: max(0, n - p.max_allowed_validators)]:
        permits[uid] = False
    if late:
        permits = [(ok and share[i] > 0) or i == p.owner_uid for i, ok in enumerate(permits)]
    voice = normal([share[i] if active[i] and g.permits[i] else 0 for i in range(n)])
    weights: Table = {}
    for i, row in g.weights.to_dict().items():
        for j, w in row.items():
            own = i == j and not (late and i == p.owner_uid)
            if g.permits[i] and not own and g.last_update[i] > g.registered_at[j]:
                weights[i, j] = w << 32
    weights = by_row(weights, n)
    before = [sum(mul(w, voice[i]) for (i, k), w in weights.items() if k == j) for j in range(n)]
    kappa = (p.kappa << 32) // 65535
    consensus = [plain_median(voice, [weights.get((i, j), 0) for i in range(n)], kappa) for j in range(n)]
    clipped = {(i, j): min(w, consensus[j]) for (i, j), w in weights.items()}
    ranks = [sum(mul(w, voice[i]) for (i, k), w in clipped.items() if k == j) for j in range(n)]
    incentive = normal(ranks)
    last = g.last_step + 1 if g.last_step else max(0, g.block - p.tempo)
    held: Table = {}
    for i, row in g.bonds.to_dict().items():
        for j, b in row.items():
            stale = last <= g.registered_at[j] if late else g.last_update[i] <= g.registered_at[j]
            if not stale:
                held[i, j] = b << 32
    held = by_column(held, n)
    base = clipped
    if late and p.bonds_penalty != 65535:
        beta = (p.bonds_penalty << 32) // 65535
        base = {key: w + ((beta * (clipped[key] - w)) >> 32) for key, w in weights.items()}
    bought = by_column({(i, j): mul(w, voice[i]) for (i, j), w in base.items()}, n)
    alpha = ONE - (p.bonds_moving_average << 32) // 1_000_000
    moved = {
        key: mul(alpha, bought.get(key, 0)) + mul(ONE - alpha, held.get(key, 0)) for key in {**bought, **held}
    }
    moved = by_column(moved, n)
    dividends = normal([sum(mul(b, incentive[j]) for (k, j), b in moved.items() if k == i) for i in range(n)])
    earned = sum(incentive) + sum(dividends)
    server, validator = [div(x, earned) for x in incentive], [div(x, earned) for x in dividends]
    combined = [div(x + y, earned) for x, y in zip(incentive, dividends, strict=True)]
    if earned == 0:
        validator = combined = voice if any(voice) else share
    best = max(combined)
    stored = by_column(moved, n, max)
    u16 = lambda x: (x * 65535) >> 32  # noqa: E731
    return {
        "active": tuple(active),
        "permits": tuple(permits),
        "rank": tuple(map(u16, incentive)),
        "incentive": tuple(map(u16, incentive)),
        "trust": tuple(u16(div(r, b)) for r, b in zip(ranks, before, strict=True)),
        "consensus": tuple(map(u16, consensus)),
        "dividends": tuple(map(u16, dividends)),
        "validator_trust": tuple(u16(sum(w for (i, _), w in clipped.items() if i == k)) for k in range(n)),
        "pruning": tuple((div(c * 65535, best) + (1 << 31)) >> 32 for c in combined),
        "server_emission": tuple((x * g.emission) >> 32 for x in server),
        "validator_emission": tuple((x * g.emission) >> 32 for x in validator),
        "emission": tuple((x * g.emission) >> 32 for x in combined),
        "bonds": {key: u16(b) for key, b in stored.items() if permits[key[0]] and u16(b)},
    }


U16S = st.integers(0, 65535)
BLOCKS = st.integers(0, 12)


@st.composite
def subnets(draw: st.DrawFn, most: int = 7) -> EpochInput:
    n = draw(st.integers(1, most))
    uids = st.integers(0, n - 1)
    rows = st.dictionaries(uids, st.dictionaries(uids, U16S, max_size=n), max_size=n)
    per_uid = lambda values: draw(st.lists(values, min_size=n, max_size=n))  # noqa: E731
    stakes = st.one_of(st.sampled_from([0, 1, 10**9]), st.integers(0, 3 * 10**15))
    params = YumaParams(
        kappa=draw(st.sampled_from([0, 1, 32767, 40000, 65535])),
        activity_cutoff=draw(st.integers(0, 12)),
        max_allowed_validators=draw(st.integers(1, most)),
        bonds_moving_average=draw(st.sampled_from([0, 500_001, 900_000, 1_000_000])),
        bonds_penalty=draw(st.sampled_from([0, 1, 30000, 65534, 65535])),
        tempo=draw(st.integers(1, 5)),
        owner_uid=draw(st.none() | uids),
    )
    return EpochInput(
        variant=draw(st.sampled_from(["2024", "y2"])),
        block=draw(st.integers(0, 20)),
        last_update=per_uid(BLOCKS),
        registered_at=per_uid(BLOCKS),
        stake=per_uid(stakes),
        permits=per_uid(st.booleans()),
        weights=SparseRows.from_dict(draw(rows)),
        bonds=SparseRows.from_dict(draw(rows)),
        emission=draw(st.integers(0, 10**12)),
        params=params,
        last_step=draw(BLOCKS),
    )


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


@pytest.mark.parametrize("variant", ["2024", "y2"])
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_plain_integers_on_a_real_size(variant: str, seed: int) -> None:
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
        params=YumaParams(max_allowed_validators=voters, bonds_penalty=30000),
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
    if sum(subnet.stake):
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
def test_products_and_quotients_are_exact(pairs: list[tuple[int, int]]) -> None:
    left, right = (np.array(column, dtype=np.uint64) for column in zip(*pairs, strict=True))
    assert multiply(left, right).tolist() == [mul(a, b) for a, b in pairs]
    assert divide(left, right).tolist() == [div(a, b) for a, b in pairs]
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
        ({"variant": "y9"}, "no Yuma variant 'y9'; use one of 2024, y2"),
    ],
)
def test_a_contradictory_input_is_named(change: dict[str, Any], words: str) -> None:
    good = EpochInput("2024", 1, [1], [0], [1], [True], SparseRows.empty(), SparseRows.empty(), 1)
    with pytest.raises(MalformedEpoch, match=words):
        epoch(replace(good, **change))
