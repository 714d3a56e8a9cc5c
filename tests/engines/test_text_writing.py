"""Answers that are written together: joining, long prompts, padding, memory, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ranvier.engines.errors import NoRoom
from ranvier.engines.models import Generation, Message, Sampling, TextRequest
from ranvier.engines.text.gumbel import choose, pick, scores

pytestmark = pytest.mark.models


def request(number: int, words: int = 3, **how: Any) -> TextRequest:
    said = " ".join(f"w{(number * 7 + place) % 50}" for place in range(words))
    seed = bytes([number]) * 32
    return TextRequest((Message("user", said),), Sampling(**{"max_tokens": 12, "seed": seed, **how}))


def finished(writing: Any) -> dict[int, Any]:
    done: dict[int, Any] = {}
    while writing.size:
        done.update(writing.step())
    return done


def alone(tiny: Any, asked: TextRequest) -> Generation:
    (made,) = tiny.generate([asked])
    return made  # type: ignore[no-any-return]


def test_who_joins_late_gets_what_it_gets_alone(tiny: Any) -> None:
    asked = [request(number, words=3 + 11 * number, max_tokens=8 + 3 * number) for number in range(6)]
    writing = tiny.writing()
    done: dict[int, Any] = {}
    for number, one in enumerate(asked):
        writing.join(number, one)
        done.update(writing.step())
        done.update(writing.step())
    done.update(finished(writing))
    assert [done[number].token_ids for number in range(6)] == [alone(tiny, one).token_ids for one in asked]


def test_neighbours_do_not_move_the_numbers(tiny: Any) -> None:
    network = tiny._network
    prompts = [[5 + place % 9 for place in range(length)] for length in (3, 40, 17)]
    together = network.start(prompts)
    for token in (7, 8, 9):
        network.step(together, [token] * 3)
    for place, prompt in enumerate(prompts):
        single = network.start([prompt])
        for token in (7, 8, 9):
            network.step(single, [token])
        np.testing.assert_allclose(together.logits[place], single.logits[0], atol=2e-5, rtol=0)


def test_a_long_prompt_holds_nobody_up(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ranvier.engines.text.writing.CHUNK", 16)
    steps: list[int] = []
    writing = tiny.writing(lambda key, _token, _piece: steps.append(key) or True)
    writing.join(0, request(1, max_tokens=30))
    writing.step()
    writing.join(1, request(2, words=150, max_tokens=4))
    done = finished(writing)
    assert steps.index(1) >= 9  # its prompt was read in ten parts, and the other wrote on meanwhile
    assert done[1].token_ids == alone(tiny, request(2, words=150, max_tokens=4)).token_ids


def test_no_room_is_said_before_work_begins(tiny: Any) -> None:
    from ranvier.engines.text.writing import Writing

    writing = Writing(tiny._network, room=64)
    writing.join(0, request(1))
    writing.join(1, request(2))
    with pytest.raises(NoRoom, match="try again"):
        writing.join(2, request(3, max_tokens=40))
    with pytest.raises(ValueError, match="memory has room for"):
        writing.join(3, request(3, max_tokens=100))
    assert set(finished(writing)) == {0, 1}
    writing.join(2, request(3, max_tokens=40))
    assert set(finished(writing)) == {2}


@pytest.mark.parametrize("layer", [0, 1])
def test_out_of_memory_costs_one_answer(tiny: Any, monkeypatch: pytest.MonkeyPatch, layer: int) -> None:
    """Also between two layers, when some have the new token already."""
    from ranvier.engines.text.cache import GrowingLayer

    asked = [request(number, words=4 + 9 * number) for number in range(4)]
    writing = tiny.writing()
    for number, one in enumerate(asked):
        writing.join(number, one)
    while len(writing._live) < 4:
        writing.step()
    update, left = GrowingLayer.update, [layer]

    def failing(self: Any, *args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            raise MemoryError
        return update(self, *args, **kwargs)

    monkeypatch.setattr(GrowingLayer, "update", failing)
    done = finished(writing)
    assert isinstance(done.pop(3), NoRoom)
    assert {key: made.token_ids for key, made in done.items()} == {
        key: alone(tiny, asked[key]).token_ids for key in range(3)
    }


def test_out_of_memory_while_reading_costs_the_newcomer(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = tiny.writing()
    writing.join(0, request(1))
    writing.step()
    writing.join(1, request(2, words=50))
    start = type(tiny._network).start

    def failing(self: Any, prompts: Any) -> Any:
        if len(prompts[0]) > 40:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate much")
        return start(self, prompts)

    monkeypatch.setattr(type(tiny._network), "start", failing)
    done = finished(writing)
    assert isinstance(done[1], NoRoom)
    assert done[0].token_ids == alone(tiny, request(1)).token_ids


def test_a_huge_prompt_is_refused_unread(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(tiny._network), "encode", lambda *_: pytest.fail("it was read"))
    with pytest.raises(ValueError, match="characters do not fit"):
        tiny.generate([TextRequest((Message("user", "x" * 1_000_000),), Sampling())])


@settings(max_examples=60, deadline=None)
@given(
    number=some.integers(0, 2**32), temperature=some.floats(0.05, 3), spread=some.floats(0, 20),
    position=some.integers(0, 500),
)  # fmt: skip
def test_the_quick_choice_is_the_choice(
    number: int, temperature: float, spread: float, position: int
) -> None:
    logits = np.random.default_rng(number).normal(size=500) * spread
    seed = number.to_bytes(32, "little")
    slow = choose(scores(logits, seed, position, temperature, 1.0))
    assert pick(logits, seed, position, temperature, 1.0) == slow
