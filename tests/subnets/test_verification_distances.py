"""Limits for vectors and labels: data that rests on honest runs, pays them and catches the cheap ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ranvier.engines.store import Store
from ranvier.subnets.verification import (
    CalibrationUnfit,
    Distances,
    embedding_worth,
    label_worth,
    probability_worth,
    read_distances,
    shipped_distances,
)
from ranvier.subnets.verification.distances import ROOM, away

MODELS = ("minilm", "sentiment", "sentiment-finance")


@pytest.mark.parametrize("name", MODELS)
def test_shipped_limits_rest_on_honest_runs_and_tell_every_cheap_way(name: str) -> None:
    known = shipped_distances(name)
    assert known.limit == pytest.approx(ROOM * max(one.largest for one in known.honest.values()))
    assert any(way.startswith("bfloat16") for way in known.honest)
    assert all(one.beyond == 0 for one in known.honest.values())
    assert known.confused == ()


def test_what_cannot_be_used_is_refused_with_its_cause(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    with pytest.raises(CalibrationUnfit, match="cannot be read"):
        read_distances(path)
    good = json.loads(shipped_distances("minilm").model_dump_json())
    for broken, cause in (
        ({**good, "limit": good["limit"] / 3}, "the limit is below an honest distance"),
        ({**good, "honest": {}}, "at least one way"),
        ({**good, "limits": 1}, "limits"),
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(CalibrationUnfit, match=cause):
            read_distances(path)
    good["cheap"]["4-bit weights"]["beyond"] = 0.1
    path.write_text(json.dumps(good))
    with pytest.raises(CalibrationUnfit, match="does not tell 4-bit weights from honest work"):
        read_distances(path)
    with pytest.raises(CalibrationUnfit):
        shipped_distances("another")


def test_distances() -> None:
    assert away("embed", [[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [1.0, 0.0]]) == pytest.approx([0, 1])
    assert away("classify", [[0.7, 0.3]], [[0.4, 0.6]]) == pytest.approx([0.3])


@pytest.fixture(
    scope="module",
    params=[name if name == "minilm" else pytest.param(name, marks=pytest.mark.slow) for name in MODELS],
)
def computed(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Verifier's rows, honest and cheap rows of a few texts that no limit was measured on."""
    if not (Store().has("minilm") and Store().has("sentences")):
        pytest.skip("not prepared; run `ranvier models prepare`")
    from ranvier.subnets.verification.vector_ways import Ways, texts_for

    known = shipped_distances(request.param)
    ways = Ways(known.kind, known.model)
    texts = texts_for(known.model, 24, 5)
    own = ways.own(texts)
    assert ways.info.digest == known.digest
    honest, cheap = ({name: way(texts) for name, way in group.items()} for group in (ways.honest, ways.cheap))
    yield known, own, honest, cheap


def worth(known: Distances, given: Any, own: Any) -> float:
    if known.kind == "embed":
        return embedding_worth(given, own, distance=known.limit)
    return min(probability_worth(a, b, distance=known.limit) for a, b in zip(given, own, strict=True))


@pytest.mark.models
def test_honest_rows_are_paid_and_cheap_ones_are_not(computed: Any) -> None:
    known, own, honest, cheap = computed
    assert {way: worth(known, rows, own) for way, rows in honest.items()} == dict.fromkeys(honest, 1.0)
    assert {way: worth(known, rows, own) for way, rows in cheap.items()} == dict.fromkeys(cheap, 0.0)


@pytest.mark.models
def test_one_wrong_row_voids_an_answer(computed: Any) -> None:
    known, own, honest, _ = computed
    rows = list(next(iter(honest.values())))
    farthest = max(range(len(own)), key=lambda k: away(known.kind, [own[k]], [own[3]])[0])
    assert worth(known, rows, own) == 1
    assert worth(known, [*rows[:3], own[farthest], *rows[4:]], own) == 0


@pytest.mark.models
def test_honest_labels_are_paid_and_constant_ones_are_not(computed: Any) -> None:
    known, own, honest, cheap = computed
    if known.kind == "embed":
        return
    names = ("negative", "neutral", "positive")

    def said(rows: Any) -> list[str]:
        return [names[max(range(3), key=row.__getitem__)] for row in rows]

    assert all(label_worth(said(rows), own, names, tie=known.tie) == 1 for rows in honest.values())
    assert label_worth(said(cheap["one answer to all"]), own, names, tie=known.tie) == 0
    assert label_worth(said(cheap["cached answers to other texts"]), own, names, tie=known.tie) == 0
