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
    Calibration,
    CalibrationUnfit,
    LogprobCheck,
    counted,
    embedding_worth,
    label_worth,
    place,
    probability_worth,
    read_calibration,
    seen,
)
from ranvier.subnets.verification.calibration import MOST
from ranvier.subnets.verification.logprobs import PAID, SLACK
from ranvier.subnets.verification.tokens import ENTROPIES, KINDS, MARGINS, WIDTHS

SHIPPED = shipped()


Row = tuple[bool, float, float, float]


def shown(rows: list[Row]) -> tuple[TokenEvidence, tuple[int, ...]]:
    """Evidence over (is it the seeded choice, margin, entropy, lean)."""
    ids = tuple(range(len(rows)))
    expected = tuple(token if row[0] else token + 1 for token, row in zip(ids, rows, strict=True))
    margins, nats, leans = (tuple(row[part] for row in rows) for part in (1, 2, 3))
    return TokenEvidence(expected, margins, (0.0,) * len(rows), nats, leans), ids


rows = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1e9), st.floats(0, 12), st.floats(-1e9, 50)), max_size=60
)


@given(rows)
def test_each_token_has_one_place(given_: list[Row]) -> None:
    found = [place(one) for one in seen(*shown(given_))]
    assert len(found) == len(given_)
    for (same, margin, nats, lean), (entropy, kind) in zip(given_, found, strict=True):
        assert ENTROPIES[entropy] <= nats
        assert (kind == 0) == same
        if not same:
            assert (kind > WIDTHS) == (lean > 0)
            width = (kind - 1) % WIDTHS
            assert width == len(MARGINS) or margin <= MARGINS[width]
    assert sum(map(sum, counted(found))) == len(found)


def test_a_wider_margin_is_never_better_and_no_token_is_proof() -> None:
    for table in SHIPPED.ratios.values():
        for row in table:
            assert len(row) == KINDS
            for side in (row[1 : 1 + WIDTHS], row[1 + WIDTHS :]):
                assert list(side) == sorted(side)
                assert row[0] <= side[0]
                assert side[-1] <= MOST < 11
        assert all(row[0] < 0 < row[-1] for row in table[1:])


def test_what_was_hardly_counted_of_a_cheat_is_no_evidence() -> None:
    """Three tokens of a cheat do not outweigh thousands of honest ones."""
    few = tuple((1,) * (row == 1) + (0,) * (KINDS - (row == 1)) for row in range(len(ENTROPIES)))
    counts = SHIPPED.ways | {SHIPPED.nearest[0]: few}
    thin = Calibration(**SHIPPED.model_dump() | {"ways": counts})
    assert all(abs(row[0]) < 0.05 for row in thin.ratios[thin.nearest[0]])


def test_honest_ways_are_cleared_and_others_are_not() -> None:
    """By the counts themselves: what one token adds on average, in the test that is against it most."""
    for way in SHIPPED.ways:
        worst = max(SHIPPED.drift(way, one) for one in SHIPPED.nearest)
        assert (worst < 0) == (way in SHIPPED.honest), way
    assert SHIPPED.confused == ()


def test_a_tie_is_as_wide_as_rounding_and_no_wider() -> None:
    assert SHIPPED.tie in MARGINS
    assert SHIPPED.tie <= 1
    assert any(
        row[1 + MARGINS.index(SHIPPED.tie)] or row[1 + WIDTHS + MARGINS.index(SHIPPED.tie)]
        for way in SHIPPED.honest
        for row in SHIPPED.ways[way]
    )


def test_the_shipped_file_is_evidence() -> None:
    assert (SHIPPED.model, SHIPPED.dtype, SHIPPED.device) == ("smollm2", "bfloat16", "cpu")
    assert sum(map(sum, SHIPPED.ways[SHIPPED.honest[0]])) > 2000
    assert set(SHIPPED.answers) == set(SHIPPED.ways)
    assert {way.partition(",")[0] for way in SHIPPED.honest} == {"bfloat16", "float32"}
    assert any("generate" in way for way in SHIPPED.honest), "another engine"
    assert set(SHIPPED.versions) == {"python", "torch", "transformers"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "EOF"),
        ("{}", "model: Field required"),
        (None, "No such file"),
        (SHIPPED.model_copy(update={"ways": {}}).model_dump_json(), "was not counted"),
        (
            SHIPPED.model_copy(
                update={"ways": SHIPPED.ways | {SHIPPED.honest[0]: ((1, 2), (3, 4))}}
            ).model_dump_json(),
            "other classes",
        ),
    ],
    ids=["cut", "empty", "none", "no counts", "of another release"],
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


def test_the_distance_comes_from_honest_answers() -> None:
    furthest = max(SHIPPED.logprobs[way].most for way in SHIPPED.honest if way in SHIPPED.logprobs)
    assert LogprobCheck.of(SHIPPED).distance == pytest.approx(SLACK * furthest)
    with pytest.raises(ValueError, match="no log-probabilities"):
        LogprobCheck.of(SHIPPED.model_copy(update={"logprobs": {}}))


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
    assert label_worth(["bad", "bad"], own, names, tie=0.01) == 0
    assert label_worth(["good", "other"], own, names, tie=0.01) == 0
    assert label_worth(["good"], own, names, tie=0.01) == 0
