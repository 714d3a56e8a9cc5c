"""Samples of answers: portions follow from seed, way and number alone, and an interrupted run goes on from its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranvier.engines import TokenEvidence
from ranvier.subnets.text.made import Made
from ranvier.subnets.text.sampled import PORTION, Judged, sampled
from ranvier.subnets.verification import Seen
from ranvier.subnets.verification.endings import EARLY

END = 2


class Verifier:
    """Names every token that is even, and the one before it for the odd."""

    def score(self, requests):
        return [
            TokenEvidence(
                *(tuple(token - token % 2 for token in ids), tuple(float(token % 2) for token in ids)),
                *((-1.5,) * len(ids), (2.0,) * len(ids), tuple(-float(token % 2) for token in ids)),
                *((END,), "text"),
            )
            for ids in (one.token_ids for one in requests)
        ]


class Ways:
    """Counts what it is asked; answers follow from the seeds of the requests."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, asked):
        seeds = [one.sampling.seed for one in asked]
        self.asked += seeds
        return [Made(tuple(seed[:4]), "length", "text", (-1.0,) * 4) for seed in seeds]


def sample(path: Path | None, count: int, seed: str = "s", **ways):
    return sampled(Verifier(), ways, dict.fromkeys(ways, count), tokens=4, seed=seed, path=path)


def test_a_run_that_was_interrupted_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    path, first, second, whole = tmp_path / "rows.jsonl", Ways(), Ways(), Ways()
    sample(path, PORTION, a=first)
    again = sample(path, 2 * PORTION, a=second)
    assert (len(first.asked), len(second.asked)) == (PORTION, PORTION)
    assert again["a"].answers == sample(None, 2 * PORTION, a=whole)["a"].answers
    assert whole.asked == first.asked + second.asked
    assert len(set(whole.asked)) == 2 * PORTION


def test_ways_and_seeds_have_answers_of_their_own(tmp_path: Path) -> None:
    path, one, other, later = tmp_path / "rows.jsonl", Ways(), Ways(), Ways()
    sample(path, PORTION, a=one, b=other)
    sample(path, PORTION, seed="t", a=later)
    assert not {*one.asked} & {*other.asked}
    assert not {*one.asked} & {*later.asked}


def test_what_is_kept_of_an_answer(tmp_path: Path) -> None:
    found = sample(tmp_path / "rows.jsonl", PORTION, a=Ways())["a"]
    kept = sample(tmp_path / "rows.jsonl", PORTION, a=Ways())["a"]
    assert found == kept
    for answer in found.answers:
        assert (answer.tokens, answer.away) == (4, pytest.approx(0.5))
        assert all(
            one.entropy == 2 and one.margin in (0, 1) and one.lean == -one.margin for one in answer.seen
        )


def test_an_end_that_rounding_decides_is_not_wrong() -> None:
    near, far = (Judged((Seen(0.0, 2.0, 0.0), Seen(margin, 2.0, -1.0)), EARLY, 2) for margin in (0.2, 5.0))
    assert [one.wrong(0.3) for one in (near, far)] == [None, EARLY]
    assert near.wrong(0.1) == EARLY
    assert Judged(near.seen, "stops before the limit", 2).wrong(0.3) == "stops before the limit"
