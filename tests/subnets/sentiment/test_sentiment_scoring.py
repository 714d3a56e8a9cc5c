import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.subnets.sentiment.scoring import Tally, baseline, brier, latest, skill, tally, worth

triples = st.tuples(*[st.floats(0.001, 1)] * 3).map(lambda t: tuple(x / sum(t) for x in t))
labels = st.integers(0, 2)


@given(triples, labels)
def test_brier_is_zero_only_for_certainty_and_at_most_two(forecast, label):
    assert 0 <= brier(forecast, label) <= 2
    certain = tuple(float(k == label) for k in range(3))
    assert brier(certain, label) == 0


@given(st.lists(st.tuples(triples, labels), min_size=1, max_size=40))
def test_honest_probabilities_are_the_best_report(rows):
    """Brier is proper: nobody gains by reporting anything but the frequencies, among constants."""
    truth = [label for _, label in rows]
    frequencies = tuple(truth.count(k) / len(truth) for k in range(3))
    for forecast, _ in rows:
        best = tally([frequencies] * len(truth), truth).loss
        assert best <= tally([forecast] * len(truth), truth).loss + 1e-9


@given(triples)
def test_no_constant_has_skill_on_balanced_labels(forecast):
    balanced = [0, 0, 1, 2, 2] * 20
    assert skill([tally([forecast] * 100, balanced)]) < -0.4


def test_knowing_only_the_frame_is_worth_exactly_nothing():
    truth = [0, 0, 1, 2, 2] * 20
    frame_reader = [(0.0, 1.0, 0.0) if label == 1 else (0.5, 0.0, 0.5) for label in truth]
    assert skill([tally(frame_reader, truth)]) == pytest.approx(0)


def test_perfect_answers_approach_full_skill_only_with_evidence():
    perfect = [tally([(1.0, 0.0, 0.0)] * 4, [0] * 4)]
    assert skill(perfect) < 0.5
    assert skill(perfect * 100) > 0.97


def test_neutral_has_no_baseline_to_gain_from():
    assert [baseline(k) for k in range(3)] == [0.5, 0.0, 0.5]


@given(st.lists(st.integers(1, 32), min_size=1, max_size=50), st.integers(16, 400))
def test_window_keeps_the_newest_and_no_more_than_it_may(sizes, window):
    tallies = [Tally(size, float(k), 1.0) for k, size in enumerate(sizes)]
    kept = latest(tallies, window)
    assert kept == tallies[-len(kept) :]
    assert len(kept) == 1 or sum(t.texts for t in kept) <= window
    if len(kept) < len(tallies):
        assert sum(t.texts for t in kept) + tallies[-len(kept) - 1].texts > window


@given(st.floats(-3, 1), st.floats(0, 0.9))
def test_worth_is_bounded_and_nothing_at_the_floor(value, floor):
    assert 0 <= worth(value, floor) <= 1
    assert worth(floor, floor) == 0
    assert worth(1.0, floor) == 1


def test_answers_and_labels_must_match_in_number():
    with pytest.raises(ValueError):
        tally([(1.0, 0.0, 0.0)], [0, 1])
