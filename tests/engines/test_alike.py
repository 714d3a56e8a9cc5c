"""Batches by length: every place once, one length each, none too large."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ranvier.engines.alike import by_length


@given(st.lists(st.integers(1, 8), max_size=60), st.integers(1, 9))
def test_every_place_is_in_one_batch_of_its_length(lengths: list[int], most: int) -> None:
    batches = list(by_length(lengths, most))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 0 < len(batch) <= most
        assert len({lengths[place] for place in batch}) == 1
