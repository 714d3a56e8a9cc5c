"""How many values a JSON text may hold, whatever a model declares and whatever stands in its strings."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.protocol import Reply, Synapse
from ranvier.protocol.codec import JSON, Encoded, read_reply, read_request
from ranvier.protocol.errors import InvalidReply, Refusal
from ranvier.protocol.query import Query
from ranvier.protocol.text import MAX_VALUES, check_values

LETTERS = st.text(st.sampled_from('ab,[{}]\\"\n\u20ac'))
VALUES = st.recursive(
    st.none() | st.integers() | LETTERS,
    lambda inner: st.lists(inner) | st.dictionaries(LETTERS, inner),
    max_leaves=40,
)


def marks(value: Any) -> int:
    """Commas and openings of the text that holds it."""
    if not isinstance(value, list | dict):
        return 0
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(0, len(inner) - 1) + sum(map(marks, inner))


@given(VALUES, st.booleans())
def test_what_stands_in_strings_does_not_count(value: Any, ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii).encode()
    found = marks(value)
    check_values(text, found)
    if found:
        with pytest.raises(ValueError, match="values"):
            check_values(text, found - 1)


def test_strings_that_never_end_take_no_longer_than_others() -> None:
    check_values(b'"' + b'\\"' * (1 << 20) + b"," * (1 << 20), 10)


class Scores(Synapse):
    values: list[int]

    class Reply(Reply):
        values: list[int]


class Many(Scores):
    max_values: ClassVar[int] = 100_000


def test_a_synapse_declares_how_many_it_takes() -> None:
    text = json.dumps({"values": [0] * (MAX_VALUES + 1)}).encode()
    with pytest.raises(Refusal, match=f"more than {MAX_VALUES} values"):
        read_request(Scores, text, Query(), 1 << 20)
    with pytest.raises(InvalidReply, match=f"more than {MAX_VALUES} values"):
        read_reply(Scores, Encoded(JSON, text), Query(), 1 << 20)
    assert len(read_request(Many, text, Query(), 1 << 20).values) == MAX_VALUES + 1
    assert len(read_reply(Many, Encoded(JSON, text), Query(), 1 << 20).values) == MAX_VALUES + 1


def test_faults_by_the_thousand_are_counted_and_not_listed() -> None:
    with pytest.raises(InvalidReply, match="30000 faults"):
        read_reply(Scores, Encoded(JSON, json.dumps({"values": ["a"] * 30_000}).encode()), Query(), 1 << 20)
    with pytest.raises(InvalidReply, match=r"values\.0"):
        read_reply(Scores, Encoded(JSON, b'{"values":["a","b"]}'), Query(), 1 << 20)
