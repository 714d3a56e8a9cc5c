"""Sampling parameters mean what they say; stop strings are found wherever they fall."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

pytest.importorskip("torch")

from ranvier.engines.models import Sampling
from ranvier.engines.text import stops
from ranvier.engines.text.choice import check, next_token, penalised

LOGITS = np.array([3.0, 2.0, 1.0, 0.0, -1.0])


def drawn(**how: Any) -> set[int]:
    return {next_token(LOGITS, Sampling(**{"temperature": 3.0, **how}), [0], [1, 1, 2]) for _ in range(300)}


def test_top_k_and_min_p_leave_the_best() -> None:
    assert drawn() == {0, 1, 2, 3, 4}
    assert drawn(top_k=2) == {0, 1}
    assert drawn(top_k=99) == {0, 1, 2, 3, 4}
    assert drawn(temperature=1.0, min_p=0.3) == {0, 1}, "e^-1 is above 0.3, e^-2 is not"
    assert drawn(top_k=4, min_p=0.001, top_p=0.3) == {0}


def test_penalties_are_those_of_their_definitions() -> None:
    how = Sampling(presence_penalty=0.5, frequency_penalty=0.25)
    np.testing.assert_allclose(penalised(LOGITS, how, [0], [1, 1, 2]), [3, 2 - 1, 1 - 0.75, 0, -1])
    again = Sampling(repetition_penalty=2.0)
    np.testing.assert_allclose(penalised(LOGITS, again, [0, 4], [1, 1]), [1.5, 1, 1, 0, -2])
    assert next_token(LOGITS, Sampling(temperature=0.0, repetition_penalty=4.0), [0], []) == 1


def test_a_seed_knows_nothing_of_them() -> None:
    check(Sampling(seed=b"s" * 32, top_p=0.5))
    with pytest.raises(ValueError, match="min_p: seeded-gumbel-v1"):
        check(Sampling(seed=b"s" * 32, min_p=0.1))


@given(
    text=some.text("ab", max_size=30), ends=some.lists(some.text("ab", min_size=1, max_size=5), max_size=3)
)
def test_pieces_never_tell_more_than_the_answer(text: str, ends: list[str]) -> None:
    """Letter by letter: what is handed out is always the beginning of what remains in the end."""
    said = 0
    for size in range(1, len(text) + 1):
        now = text[:size]
        if stops.found(now, ends) is not None:
            break
        said = max(said, size - stops.held(now, ends))
    assert text[:said] == stops.cut(text, ends)[:said]
    assert len(stops.cut(text, ends)) >= said
