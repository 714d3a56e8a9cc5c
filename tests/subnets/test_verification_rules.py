"""Token classes and their weights, endings, log-probabilities, embeddings and labels: rules without a model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.engines import TokenEvidence
from ranvier.subnets.text.calibrate import shipped
from ranvier.subnets.verification import (
    CalibrationUnfit,
    LogprobCheck,
    counted,
    embedding_worth,
    label_worth,
    places,
    probability_worth,
    read_calibration,
)
from ranvier.subnets.verification.logprobs import PAID
from ranvier.subnets.verification.tokens import ENTROPIES, MARGINS, MOST

SHIPPED = shipped()


def seen(rows: list[tuple[bool, float, float]]) -> tuple[TokenEvidence, tuple[int, ...]]:
    """Evidence over (is it the seeded choice, margin, entropy)."""
    ids = tuple(range(len(rows)))
    expected = tuple(token if same else token + 1 for token, (same, _, _) in zip(ids, rows, strict=True))
    margins, nats = tuple(gap for _, gap, _ in rows), tuple(nats for _, _, nats in rows)
    return TokenEvidence(expected, margins, (0.0,) * len(rows), nats), ids


rows = st.lists(st.tuples(st.booleans(), st.floats(0, 1e9), st.floats(0, 12)), max_size=60)


@given(rows)
def test_each_informative_token_has_one_place(given_: list[tuple[bool, float, float]]) -> None:
    found = places(*seen(given_))
    informative = [row for row in given_ if row[2] >= ENTROPIES[0]]
    assert len(found) == len(informative)
    for (same, margin, nats), (entropy, place) in zip(informative, found, strict=True):
        assert ENTROPIES[entropy] <= nats
        assert (place == 0) == same
        assert same or place == len(MARGINS) or margin <= MARGINS[place]
    assert sum(map(sum, counted(found))) == len(found)


def test_a_wider_margin_is_never_better_and_no_token_is_proof() -> None:
    for row in SHIPPED.ratios:
        assert list(row) == sorted(row)
        assert row[0] < 0 < row[-1]
        assert row[-1] <= MOST < 11


def test_honest_ways_are_cleared_and_others_are_not() -> None:
    """By the counts themselves: what one token adds on average."""
    for way in SHIPPED.ways:
        assert (SHIPPED.drift(way) < 0) == (way in SHIPPED.honest), way
    assert SHIPPED.confused == ()


def test_the_shipped_file_is_evidence() -> None:
    assert (SHIPPED.model, SHIPPED.dtype, SHIPPED.device) == ("smollm2", "bfloat16", "cpu")
    assert sum(map(sum, SHIPPED.ways[SHIPPED.honest[0]])) > 2000
    assert set(SHIPPED.versions) == {"python", "torch", "transformers"}


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "EOF"), ("{}", "model: Field required"), (None, "No such file")],
    ids=["cut", "empty", "none"],
)
def test_a_file_that_is_no_calibration(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "calibration.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CalibrationUnfit, match=says) as caught:
        read_calibration(path)
    assert "ranvier models calibrate" in str(caught.value)


def test_counts_that_confuse_honest_work_with_cheats(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    swapped = SHIPPED.ways | {SHIPPED.honest[1]: SHIPPED.ways["relay"]}
    path.write_text(SHIPPED.model_copy(update={"ways": swapped}).model_dump_json())
    with pytest.raises(CalibrationUnfit, match=f"do not tell .*{SHIPPED.honest[1]}"):
        read_calibration(path)


CHECK = LogprobCheck(distance=0.05)


@pytest.mark.parametrize(
    ("reported", "own", "worth"),
    [
        ([-1.0, -2.0], [-1.01, -2.02], PAID),
        ([-1.0, -2.0], [-1.2, -2.2], 0),
        ([-1.0], [-1.0, -2.0], 0),
        ([], [], 0),
        ([math.nan, -2.0], [-1.0, -2.0], 0),
        ([-math.inf, -2.0], [-1.0, -2.0], 0),
        ([0.5, -2.0], [0.0, -2.0], 0),
        ([-12.0] * 10, [-12.0] * 10, 0),
    ],
    ids=["honest", "another model", "too few", "none", "NaN", "infinite", "above 0", "text of nobody"],
)
def test_log_probabilities(reported: list[float], own: list[float], worth: float) -> None:
    assert CHECK.worth(reported, own)[0] == worth


@given(st.lists(st.floats(allow_nan=True), max_size=9), st.lists(st.floats(-20, 0), max_size=9))
def test_no_report_breaks_the_check(reported: list[float], own: list[float]) -> None:
    assert CHECK.worth(reported, own)[0] in (0.0, PAID)


ONE, OTHER = [1.0, 0.0], [0.6, 0.8]


@pytest.mark.parametrize(
    ("given_", "worth"),
    [
        ([ONE, OTHER], 1),
        ([ONE, [0.601, 0.7993]], 1),
        ([ONE, ONE], 0),
        ([ONE], 0),
        ([ONE, [6.0, 8.0]], 0),
        ([ONE, [math.nan, 0.8]], 0),
        ([ONE, [0.6]], 0),
    ],
    ids=["honest", "rounded", "one wrong row", "too few", "not of length 1", "NaN", "short"],
)
def test_embeddings(given_: list[list[float]], worth: float) -> None:
    assert embedding_worth(given_, [ONE, OTHER], distance=1e-3) == worth


@pytest.mark.parametrize(
    ("given_", "worth"),
    [
        ([0.7, 0.3], 1),
        ([0.71, 0.29], 1),
        ([0.9, 0.1], 0),
        ([0.7], 0),
        ([0.7, 0.7], 0),
        ([1.7, -0.7], 0),
        ([math.nan, 0.3], 0),
    ],
)
def test_probabilities(given_: list[float], worth: float) -> None:
    assert probability_worth(given_, [0.7, 0.3], distance=0.02) == worth


def test_labels_that_rounding_decides_are_not_held_against_a_miner() -> None:
    own, names = [[0.9, 0.1], [0.501, 0.499]], ["good", "bad"]
    assert label_worth(["good", "bad"], own, names, tie=0.01) == 1
    assert label_worth(["bad", "bad"], own, names, tie=0.01) == 0.5
    assert label_worth(["good", "other"], own, names, tie=0.01) == 0.5
    assert label_worth(["good"], own, names, tie=0.01) == 0
