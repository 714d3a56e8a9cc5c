"""The sequential test keeps what it promises about errors, whatever the order; a record is no credit."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.subnets.verification import Bounds, SequentialTest
from ranvier.subnets.verification.sequential import SHARE, now_and_then

BOUNDS = Bounds()
HONEST, CHEAT = 0.02, 0.30
"""Chance of a mismatch."""
WRONG, RIGHT = math.log(CHEAT / HONEST), math.log((1 - CHEAT) / (1 - HONEST))
ratios = st.lists(st.floats(-4, 4), max_size=200)


def drawn(rng: random.Random, chance: float, count: int) -> list[float]:
    return [WRONG if rng.random() < chance else RIGHT for _ in range(count)]


def test_an_honest_miner_passes_test_after_test() -> None:
    rng, caught, passed = random.Random(1), 0, 0
    for _ in range(300):
        test = SequentialTest().add(drawn(rng, HONEST, 2000), BOUNDS)
        caught, passed = caught + test.caught, passed + test.passed
    assert caught == 0
    assert passed > 300 * 30


def test_the_chance_of_a_false_proof_is_alpha_at_most() -> None:
    """With a large alpha, so that it can be counted: tests that end against an honest miner, of all that end."""
    bounds, rng = Bounds(alpha=0.05, beta=0.05), random.Random(2)
    wrong = ended = 0
    for _ in range(4000):
        test = SequentialTest()
        while not test.caught and not test.passed:
            test = test.add(drawn(rng, HONEST, 1), bounds)
        wrong, ended = wrong + test.caught, ended + 1
    assert wrong / ended <= 0.06


def test_a_cheat_is_caught_however_long_its_record() -> None:
    rng = random.Random(3)
    for record in (0, 100, 10_000):
        test = SequentialTest().add(drawn(rng, HONEST, record), BOUNDS)
        assert not test.caught
        after = test.add(drawn(rng, CHEAT, 60), BOUNDS)
        assert after.caught, record


@given(ratios, ratios)
def test_what_was_seen_adds_up_in_pieces(first: list[float], second: list[float]) -> None:
    """Pieces end and begin anywhere: a miner cannot choose its answers' lengths to its advantage."""
    together = SequentialTest().add([*first, *second], BOUNDS)
    apart = SequentialTest().add(first, BOUNDS).add(second, BOUNDS)
    assert together.caught == apart.caught
    if not together.caught:
        assert together.stored() == apart.stored()


@given(ratios)
def test_it_survives_a_restart(found: list[float]) -> None:
    test = SequentialTest().add(found, BOUNDS)
    assert SequentialTest.read(test.stored()) == test
    assert SequentialTest.read(None) == SequentialTest()


@given(ratios)
def test_suspicion_is_a_share_and_standing_follows_it(found: list[float]) -> None:
    test = SequentialTest().add(found, BOUNDS)
    suspicion = test.suspicion(BOUNDS)
    assert 0 <= suspicion <= 1
    assert test.standing(BOUNDS) == (
        "caught" if test.caught else "doubtful" if suspicion > BOUNDS.doubt else "open"
    )
    assert test.score >= BOUNDS.cleared


@given(ratios)
def test_more_against_a_miner_never_helps_it(found: list[float]) -> None:
    worse = [ratio + 0.5 for ratio in found]
    if SequentialTest().add(found, BOUNDS).caught:
        assert SequentialTest().add(worse, BOUNDS).caught


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 0.7}, {"beta": 1.0}, {"doubt": 1.0}])
def test_bounds_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lie between"):
        Bounds(**wrong)


def test_a_test_knows_since_when_evidence_has_been_gathering() -> None:
    test = SequentialTest().add([-5.0], BOUNDS, 3)
    assert (test.passed, test.spell(9)) == (1, 0), "a test that was passed is over"
    test = test.add([1.0], BOUNDS, 10).add([0.5], BOUNDS, 25)
    assert test.spell(25) == 16
    caught = SequentialTest.read(test.stored()).add([20.0], BOUNDS, 30)
    assert caught.caught
    assert caught.spell(30) == 21
    assert caught.again().spell(30) == 0


@given(st.floats(-500, 500))
def test_an_answer_of_one_who_cheats_now_and_then_weighs_less_either_way(ratio: float) -> None:
    found = now_and_then(ratio)
    assert found == pytest.approx(
        math.log(1 - SHARE + SHARE * math.exp(ratio)) if ratio < 300 else ratio, abs=2
    )
    assert math.log(1 - SHARE) - 1e-9 <= found <= max(ratio, 0.0) + 1e-9


def coarse(rng: random.Random, chance: float) -> float:
    """What an answer of forty tokens adds, tested against a cheat whose tokens mismatch in eight of a hundred."""
    wrong, right = math.log(0.08 / HONEST), math.log(0.92 / (1 - HONEST))
    return sum(wrong if rng.random() < chance else right for _ in range(40))


@pytest.mark.parametrize("share", [0.25, 0.4])
def test_who_cheats_in_some_answers_is_caught_though_the_others_clear_it(share: float) -> None:
    """Sums over tokens are washed out by honest answers in between; sums over answers are not."""
    rng, tokens, answers = random.Random(4), SequentialTest(), SequentialTest()
    for number in range(1500):
        ratio = coarse(rng, 0.08 if rng.random() < share else HONEST)
        tokens = tokens.add([ratio], BOUNDS, number)
        answers = answers.add([now_and_then(ratio)], BOUNDS, number)
    assert answers.caught
    assert tokens.passed > 10
    honest = SequentialTest()
    for number in range(1500):
        honest = honest.add([now_and_then(coarse(rng, HONEST))], BOUNDS, number)
    assert not honest.caught
    assert honest.passed > 20
