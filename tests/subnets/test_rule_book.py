"""Rules 3, 4 and 7 of scoring: what is asked and not verified is zero, a catch costs, new hotkeys start at zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.protocol import Answered, Invalid, Refused, Target, TimedOut, Unreachable
from ranvier.subnets import Entry, Record, Result, ScoreBook, SubnetSettings, Verdict, audit_rate

TARGET = Target("miner", "127.0.0.1", 9)
ANSWERED = Answered(TARGET, 0.1, None, 10)
FAILURES = [
    Refused(TARGET, 0.1, "busy", retry_after=1.0),
    TimedOut(TARGET, 20.0),
    Unreachable(TARGET, 0.1, "no route"),
    Invalid(TARGET, 0.1, "unsigned"),
]
SETTINGS = SubnetSettings(alpha=0.2, penalty_rounds=3)
GOOD, BAD, CAUGHT = Verdict(1.0, "good"), Verdict(0.0, "bad"), Verdict(0.0, "caught", caught=True)

results = st.one_of(
    st.sampled_from([Result("miner", failure) for failure in FAILURES]),
    st.builds(
        lambda verdict: Result("miner", ANSWERED, verdict),
        st.one_of(
            st.none(),
            st.just(CAUGHT),
            st.just(Verdict(None, "engine away")),
            st.floats(0, 1).map(lambda value: Verdict(value, "judged")),
        ),
    ),
)


def book(**entry: float) -> ScoreBook:
    return ScoreBook(SETTINGS, {"miner": Entry(**entry)} if entry else None)


def play(into: ScoreBook, *verdicts: Verdict | None) -> list[float]:
    averages = []
    for verdict in verdicts:
        into.record([Result("miner", ANSWERED, verdict)])
        averages.append(into["miner"].average)
    return averages


@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: type(one).__name__)
def test_asked_and_not_answered_is_zero(failure) -> None:
    scores = book(average=1.0, passed=20)
    scores.record([Result("miner", failure)])
    assert scores["miner"].average == pytest.approx(0.8)
    assert scores["miner"].passed == 0, "a failure ends the good record"


def test_a_hotkey_starts_at_zero_and_rises_by_what_is_verified() -> None:
    assert play(book(), GOOD, GOOD) == pytest.approx([0.2, 0.36])


def test_only_audited_answers_are_credited() -> None:
    assert play(book(), *[None] * 50) == [0.0] * 50
    assert play(book(average=0.7), None) == [0.7]


def test_never_asked_keeps_its_average() -> None:
    scores = book(average=0.7)
    scores.record([Result("another", ANSWERED, GOOD)])
    assert scores["miner"].average == 0.7


def test_the_validators_own_failure_scores_nobody() -> None:
    scores = book(average=0.7, passed=9, penalty=2)
    play(scores, Verdict(None, "engine away"))
    assert scores["miner"] == Entry(average=0.7, passed=9, penalty=2, rounds=1)


def test_caught_is_zero_at_once_and_for_exactly_the_penalty() -> None:
    scores = book(average=0.9, passed=30)
    assert play(scores, CAUGHT, GOOD, GOOD, GOOD, GOOD) == pytest.approx([0, 0, 0, 0, 0.2])
    assert scores["miner"].caught == 1


def test_a_penalty_is_served_by_right_answers_only() -> None:
    """Who stays away, or goes on failing, would else sit it out without work."""
    scores = book(average=0.9)
    play(scores, CAUGHT, GOOD)
    for failure in FAILURES * 3:
        scores.record([Result("miner", failure)])
    play(scores, BAD, None)
    assert scores["miner"].penalty == SETTINGS.penalty_rounds - 1
    play(scores, GOOD, GOOD)
    assert scores["miner"].penalty == 0


@pytest.mark.parametrize("rate", [1e-3, 0.01, 0.05, 0.2, 1.0])
def test_the_rarer_the_audits_the_longer_the_penalty(rate) -> None:
    """It outlasts what a cheat with a long record is paid before its first audit, on average."""
    settings = SubnetSettings(audit_rate=rate, penalty_rounds=3)
    scores = ScoreBook(settings, {"miner": Entry(average=0.9, passed=1000)})
    play(scores, CAUGHT)
    assert scores["miner"].penalty >= max(3, 1 / audit_rate(rate, Record(10_000)))


def test_a_penalty_lasts_as_long_as_the_proof_took() -> None:
    """Else coarser weights, which take many audits to prove, would be paid for longer than they are punished."""
    scores = book(average=0.9)
    play(scores, Verdict(0.0, "caught", caught=True, spell=40))
    assert scores["miner"].penalty == 40
    play(scores, Verdict(0.0, "caught", caught=True, spell=1))
    assert scores["miner"].penalty == SETTINGS.penalty_rounds


def test_suspicion_is_kept_until_the_next_audit_and_ends_with_a_conviction() -> None:
    scores = book(passed=30)
    play(scores, Verdict(1.0, "valid", suspicion=0.4), None, Verdict(None, "engine away"))
    assert scores["miner"].record == Record(31, suspicion=0.4)
    scores.record([Result("miner", FAILURES[1])])
    assert scores["miner"].suspicion == 0.4, "silence clears nobody"
    play(scores, Verdict(1.0, "valid", suspicion=0.1))
    assert scores["miner"].suspicion == 0.1
    play(scores, CAUGHT)
    assert scores["miner"].record == Record(0, caught=True)


def test_a_caught_hotkey_is_not_among_the_averages_while_it_is_punished() -> None:
    scores = book(average=0.9)
    play(scores, CAUGHT)
    assert scores.averages == {}
    play(scores, GOOD, GOOD, GOOD, GOOD)
    assert scores.averages == pytest.approx({"miner": 0.2})


def test_a_new_hotkey_is_watched_before_it_is_paid() -> None:
    scores = book()
    for _ in range(SETTINGS.trial_rounds):
        assert scores.averages == {}
        play(scores, GOOD)
    assert scores.averages == {"miner": scores["miner"].average}


def test_one_caught_answer_among_many_is_enough() -> None:
    scores = book(average=0.9)
    scores.record([*[Result("miner", ANSWERED, GOOD)] * 9, Result("miner", ANSWERED, CAUGHT)])
    assert scores["miner"].average == 0


def test_a_replaced_hotkey_inherits_nothing() -> None:
    scores = book(average=0.9, passed=30)
    scores.forget("miner")
    assert scores["miner"] == Entry()
    assert scores.averages == {}


def test_several_tasks_of_a_round_count_as_their_mean() -> None:
    scores = book()
    scores.record([Result("miner", ANSWERED, GOOD), Result("miner", FAILURES[0])])
    assert scores["miner"].average == pytest.approx(0.1)


@given(st.lists(st.lists(results, min_size=1, max_size=4), max_size=30))
def test_averages_stay_between_zero_and_one(rounds) -> None:
    scores = book()
    for group in rounds:
        scores.record(group)
        assert 0 <= scores["miner"].average <= 1
        assert 0 <= scores["miner"].penalty <= SETTINGS.penalty_rounds


@given(st.floats(0, 1), st.lists(results, min_size=1, max_size=4))
def test_a_round_without_a_pass_never_raises_an_average(average, group) -> None:
    if any(result.value for result in group):
        return
    scores = book(average=average)
    scores.record(group)
    assert scores["miner"].average <= average


@given(st.lists(results, min_size=2, max_size=5), st.randoms())
def test_the_order_within_a_round_does_not_matter(group, rng) -> None:
    first, second = book(average=0.5), book(average=0.5)
    first.record(group)
    rng.shuffle(group)
    second.record(group)
    assert first["miner"].average == pytest.approx(second["miner"].average)
    assert first["miner"].penalty == second["miner"].penalty


@given(st.lists(results, min_size=1, max_size=10))
def test_a_failing_answer_is_never_worth_more_than_a_passing_one(group) -> None:
    better, worse = book(average=0.5), book(average=0.5)
    better.record([*group, Result("miner", ANSWERED, GOOD)])
    worse.record([*group, Result("miner", FAILURES[1])])
    assert worse["miner"].average <= better["miner"].average
