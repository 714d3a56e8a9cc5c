"""Commitments to parts in order, and which links of a chain are made again: what a cheat can and cannot gain."""

import random
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ranvier.subnets.verification import draw_links, least_penalty, opens, path_of, root_of
from ranvier.subnets.verification.links import chance, shares

parts_ = st.lists(st.binary(max_size=8), min_size=1, max_size=20)


@given(parts_, st.data())
def test_every_part_opens_where_it_is_and_nowhere_else(parts, data):
    root = root_of(parts)
    number = data.draw(st.integers(0, len(parts) - 1))
    path = path_of(parts, number)
    assert opens(root, len(parts), number, parts[number], path)
    other = data.draw(st.integers(-2, len(parts) + 2))
    assume(other != number)
    assert not opens(root, len(parts), other, parts[number], path)


@given(parts_, st.data())
def test_what_was_changed_does_not_open(parts, data):
    root, number = root_of(parts), data.draw(st.integers(0, len(parts) - 1))
    path = path_of(parts, number)
    assert not opens(root, len(parts), number, parts[number] + b"x", path)
    assert not opens(root, len(parts) + 1, number, parts[number], path)
    assert not opens(root, len(parts), number, parts[number], (*path, bytes(32)))
    assert not opens(bytes(32), len(parts), number, parts[number], path)
    if path:
        assert not opens(root, len(parts), number, parts[number], path[:-1])


@given(parts_, parts_)
def test_other_parts_have_another_root(parts, others):
    assume(parts != others)
    assert root_of(parts) != root_of(others)


def test_there_is_no_commitment_to_nothing():
    with pytest.raises(ValueError, match="nothing"):
        root_of([])


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 2**32))
def test_links_are_different_and_within_the_chain(steps, checks, seed):
    links = draw_links(random.Random(seed), steps, checks)
    assert len(set(links)) == len(links) == min(steps, checks)
    assert list(links) == sorted(links)
    assert all(0 <= link < steps for link in links)


def test_early_links_are_drawn_more_often_by_what_a_splice_there_would_save():
    rng, rounds = random.Random(1), 20_000
    seen = Counter(draw_links(rng, 12, 1)[0] for _ in range(rounds))
    for number, share in enumerate(shares(12)):
        assert seen[number] / rounds == pytest.approx(share, abs=0.01)
    assert sum(shares(12)) == pytest.approx(1)


def test_at_least_one_link_is_checked():
    with pytest.raises(ValueError, match="at least one"):
        draw_links(random.Random(0), 12, 0)


@given(st.integers(1, 30), st.integers(1, 4), st.data())
def test_the_chance_of_a_catch_grows_with_the_work_that_was_saved(steps, checks, data):
    """A splice at j saves all steps from j on with one wrong link; skipped steps are a wrong link each."""
    splice = data.draw(st.integers(0, steps - 1))
    saved = (steps - splice) / steps
    assert chance(steps, checks, [splice]) >= 1 - (1 - 2 * saved / (steps + 1)) ** checks - 1e-9
    skipped = data.draw(st.sets(st.integers(0, steps - 1), min_size=1))
    assert chance(steps, checks, skipped) >= 1 - (1 - len(skipped) / steps * 2 / (steps + 1)) ** checks - 1e-9


def test_the_bound_on_the_chance_holds_for_what_is_drawn():
    rng, wrong = random.Random(2), {0, 5}
    met = sum(bool(wrong & set(draw_links(rng, 12, 3))) for _ in range(5000)) / 5000
    assert met >= chance(12, 3, wrong) - 0.02


def income(wrong, saved, *, rounds, penalty, checks, cost, audit_rate, seed):
    """What a miner keeps of its pay of 1 a round; a catch costs the pay of the round and of ``penalty`` more."""
    rng, kept, blocked = random.Random(seed), 0.0, 0
    for _ in range(rounds):
        if blocked:  # it may as well stop working
            blocked -= 1
            continue
        caught = rng.random() < audit_rate and bool(wrong & set(draw_links(rng, 12, checks)))
        kept += (0.0 if caught else 1.0) - cost * (1 - saved)
        blocked = penalty if caught else 0
    return kept / rounds


@pytest.mark.parametrize(
    ("wrong", "saved"),
    [({0}, 1.0), ({1}, 11 / 12), ({6}, 0.5), ({11}, 1 / 12), (set(range(6, 12)), 0.5), (set(range(12)), 1.0)],
    ids=["free", "after-one-step", "half-way", "last-step", "every-late-step", "no-step"],
)
@pytest.mark.parametrize("audit_rate", [1.0, 0.5])
def test_the_penalty_makes_every_cheat_a_loss(wrong, saved, audit_rate):
    cost, checks = 0.6, 2
    penalty = least_penalty(12, checks, audit_rate=audit_rate, cost=cost)
    figures = {"rounds": 20_000, "penalty": penalty, "checks": checks, "cost": cost, "audit_rate": audit_rate}
    cheat = income(wrong, saved, **figures, seed=3)
    assert cheat < income(set(), 0.0, **figures, seed=3) + 0.02


def test_without_a_penalty_a_cheat_pays():
    figures = {"rounds": 20_000, "penalty": 0, "checks": 2, "cost": 0.6, "audit_rate": 0.5, "seed": 4}
    assert income({0}, 1.0, **figures) > income(set(), 0.0, **figures) + 0.2


def test_the_default_penalty_is_enough():
    assert least_penalty(12, 2, audit_rate=0.5, cost=0.6) <= 20


@pytest.mark.parametrize("figures", [{"audit_rate": 0.0, "cost": 0.5}, {"audit_rate": 0.5, "cost": 1.0}])
def test_no_penalty_helps_where_nothing_is_audited_or_kept(figures):
    with pytest.raises(ValueError, match="within"):
        least_penalty(12, 2, **figures)
