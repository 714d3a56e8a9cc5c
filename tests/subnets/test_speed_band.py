"""The speed band: bounded, by rank, indifferent to order, only for those that passed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.subnets import Verdict, banded, speed_bands

times = st.dictionaries(st.text(max_size=4), st.floats(0.001, 1e4), min_size=1, max_size=30)


@given(times)
def test_bounded_and_monotone(elapsed) -> None:
    bands = speed_bands(elapsed)
    assert all(0.75 - 1e-9 <= band <= 1.25 + 1e-9 for band in bands.values())
    order = sorted(elapsed, key=elapsed.__getitem__)
    assert all(bands[fast] >= bands[slow] for fast, slow in itertools.pairwise(order))


@given(times)
def test_the_mean_is_the_middle_so_that_speed_moves_pay_between_miners_only(elapsed) -> None:
    bands = speed_bands(elapsed)
    assert sum(bands.values()) / len(bands) == pytest.approx(1.0)


@given(times, st.floats(0.01, 100))
def test_only_ranks_count(elapsed, factor) -> None:
    slower = {key: seconds * factor for key, seconds in elapsed.items()}
    if len(set(slower.values())) == len(set(elapsed.values())):
        assert speed_bands(slower) == speed_bands(elapsed)


def test_equal_times_share_and_one_alone_gets_the_middle() -> None:
    assert speed_bands({"a": 1.0, "b": 1.0, "c": 2.0}) == {"a": 1.125, "b": 1.125, "c": 0.75}
    assert speed_bands({"a": 9.0}) == {"a": 1.0}
    assert speed_bands({}) == {}


def test_a_fast_failure_stays_zero_and_takes_no_rank(answer_of) -> None:
    answers = [
        answer_of("fast-cheat", elapsed=0.001),
        answer_of("a", elapsed=1.0),
        answer_of("b", elapsed=2.0),
    ]
    verdicts = [Verdict(0.0, "bad"), Verdict(1.0, "good"), Verdict(1.0, "good")]
    assert [verdict.value for verdict in banded(answers, verdicts)] == [0.0, 1.0, 0.6]


def test_no_score_stays_no_score(answer_of) -> None:
    (verdict,) = banded([answer_of("a")], [Verdict(None, "thin")])
    assert verdict.value is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 60)), max_size=12))
def test_banded_values_stay_verdicts(rows) -> None:
    verdicts = banded([_Timed(seconds) for _, seconds in rows], [Verdict(value, "") for value, _ in rows])
    assert all(0 <= after.value <= value for after, (value, _) in zip(verdicts, rows, strict=True))


class _Timed:
    reply = None

    def __init__(self, elapsed: float) -> None:
        self.elapsed = elapsed
