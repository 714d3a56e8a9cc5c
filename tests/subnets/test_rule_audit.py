"""Rule 4: audits are drawn after the answers from a secret; rule 7: the new and the caught are always audited."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ranvier.subnets import Record, audit_rate, draw_audits
from ranvier.subnets.audit import FLOOR, PROBATION

PROVEN = Record(passed=PROBATION)
NAMES = [f"miner-{number}" for number in range(200)]


def drawn(round_, answers, base=0.3, record=PROVEN) -> list[str]:
    records = dict.fromkeys(NAMES, record)
    return [answer.task.peer.hotkey for answer in draw_audits(round_, answers, base, records)]


@given(st.floats(0.001, 1), st.integers(0, 10_000), st.booleans(), st.floats(0, 1))
def test_the_rate_is_never_zero_and_never_above_one(base, passed, caught, suspicion) -> None:
    assert base * FLOOR <= audit_rate(base, Record(passed, caught, suspicion)) <= 1
    assert FLOOR > 0


@given(st.floats(0.001, 1), st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_the_rate_rises_with_suspicion(base, passed, less, more) -> None:
    less, more = sorted((less, more))
    assert audit_rate(base, Record(passed, suspicion=less)) <= audit_rate(
        base, Record(passed, suspicion=more)
    )
    assert audit_rate(base, Record(passed, suspicion=more)) >= more


@given(st.floats(0.001, 1), st.integers(0, 500))
def test_the_rate_never_rises_with_a_good_record(base, passed) -> None:
    assert audit_rate(base, Record(passed + 1)) <= audit_rate(base, Record(passed))


def test_new_and_caught_hotkeys_are_always_audited(round_of, answer_of) -> None:
    answers = [answer_of(name) for name in NAMES]
    assert draw_audits(round_of(*NAMES), answers, 0.01, {}) == answers
    assert drawn(round_of(*NAMES), answers, 0.01, Record(10_000, caught=True)) == NAMES


def test_the_share_that_is_drawn_is_about_the_rate(round_of, answer_of) -> None:
    answers = [answer_of(name) for name in NAMES]
    assert 35 <= len(drawn(round_of(*NAMES), answers)) <= 85


def test_the_draw_hangs_on_the_secret_and_on_every_answer(round_of, answer_of) -> None:
    answers = [answer_of(name) for name in NAMES]
    first = drawn(round_of(*NAMES), answers)
    assert drawn(round_of(*NAMES), answers) == first, "the validator can prove its draw afterwards"
    assert drawn(round_of(*NAMES, secret=b"t" * 32), answers) != first
    assert drawn(round_of(*NAMES), [answer_of(NAMES[0], twice=3), *answers[1:]]) != first


def test_several_answers_of_one_hotkey_are_drawn_apart(round_of, answer_of) -> None:
    answers = [answer_of("miner-1") for _ in range(200)]
    assert 0 < len(drawn(round_of("miner-1"), answers)) < 200
