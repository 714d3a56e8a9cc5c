"""Answers that are written together: joining, long prompts, padding, memory, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
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
    from ranvier.engines.text.cache import SlotCache
    from ranvier.engines.text.packing import Part

    network = tiny._network
    prompts = [[5 + place % 9 for place in range(length)] for length in (3, 40, 17)]
    shared, read = SlotCache(), network.read
    together = read(shared, [Part(slot, 0, prompt) for slot, prompt in enumerate(prompts)])
    for place, token in enumerate((7, 8, 9)):
        together = read(shared, [Part(slot, len(one) + place, [token]) for slot, one in enumerate(prompts)])
    for slot, prompt in enumerate(prompts):
        single = SlotCache()
        read(single, [Part(0, 0, prompt)])
        last = read(single, [Part(0, len(prompt), [7, 8, 9])])
        np.testing.assert_allclose(together[slot], last[0], atol=2e-5, rtol=0)


@pytest.mark.parametrize("neighbours", [0, 2])
def test_a_prompt_longer_than_a_pass_is_read_in_several(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, neighbours: int
) -> None:
    """Also where nobody writes meanwhile, and a pass asks for no logits at all."""
    asked = [request(number, words=50) for number in range(1 + neighbours)]
    expected = [alone(tiny, one).token_ids for one in asked]
    for chunk in ("CHUNK", "IDLE_CHUNK"):
        monkeypatch.setattr(f"ranvier.engines.text.writing.{chunk}", 16)
    assert [one.token_ids for one in tiny.generate(asked)] == expected


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chats=some.lists(
        some.tuples(some.integers(0, 5), some.integers(1, 40), some.integers(1, 9), some.integers(0, 3)),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_whoever_joins_whenever_writes_what_it_writes_alone(
    tiny: Any, chats: list[tuple[int, int, int, int]]
) -> None:
    """Shared beginnings, longer and shorter neighbours, slots that others left: none of it shows."""
    asked = [request(number, words=words, max_tokens=most) for number, words, most, _ in chats]
    writing, done = tiny.writing(), dict[int, Any]()
    for number, one in enumerate(asked):
        writing.join(number, one)
        for _ in range(chats[number][3]):
            done.update(writing.step())
    done.update(finished(writing))
    assert [done[n].token_ids for n in range(len(asked))] == [alone(tiny, one).token_ids for one in asked]


def test_a_known_beginning_is_not_read_again(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither that of one who still writes, nor that of one who has left."""
    writing, asked = tiny.writing(), request(1, words=60, max_tokens=30)
    writing.join(0, asked)
    writing.step()
    writing.join(1, replace(asked, sampling=replace(asked.sampling, seed=b"z" * 32)))
    assert [row.unread for row in writing._rows] == [1, 1]
    done = finished(writing)
    writing.join(2, asked)
    assert writing._rows[0].unread == 1
    done.update(finished(writing))
    assert done[0].token_ids == done[2].token_ids == alone(tiny, asked).token_ids != done[1].token_ids


def test_what_is_kept_while_idle_is_bounded(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ranvier.engines.text.slots.KEPT", 1)
    writing = tiny.writing()
    writing.join(0, request(1, words=60))
    finished(writing)
    assert writing._slots.cache.bytes == 0


@pytest.mark.parametrize("window", [None, 7])
def test_one_masked_call_is_row_by_row(window: int | None) -> None:
    """What a GPU does for a step of decoding, held against what a CPU does."""
    import torch

    from ranvier.engines.text.attention import decode_masked, packed
    from ranvier.engines.text.packing import Packing, Part

    torch.manual_seed(1)
    parts = (Part(0, 4, [1]), Part(1, 19, [1]), Part(2, 19, [1]), Part(5, 11, [1]))
    packing = Packing(parts, "cpu")
    query = torch.randn(1, 6, 4, 8)
    key, value = torch.randn(6, 3, 24, 8), torch.randn(6, 3, 24, 8)
    rows, _ = packed(None, query, key, value, None, packing=packing, sliding_window=window)
    masked = decode_masked(query, key, value, packing, None, window)
    torch.testing.assert_close(rows, masked)


def test_an_architecture_that_attends_otherwise_is_refused(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ranvier.engines.errors import ModelUnsuited
    from ranvier.engines.text import attention
    from ranvier.engines.text.network import Network

    whole = attention._attend
    monkeypatch.setattr(attention, "_attend", lambda *args: torch_softcapped(whole(*args)))
    with pytest.raises(ModelUnsuited, match="name that as an upstream"):
        Network.load(str(tiny_folder), dtype="float32", device="cpu")


def torch_softcapped(seen: Any) -> Any:
    return -seen.flip(-1)


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
    from ranvier.engines.text.cache import SlotCache

    asked = [request(number, words=4 + 9 * number) for number in range(4)]
    writing = tiny.writing()
    for number, one in enumerate(asked):
        writing.join(number, one)
    writing.step()
    update, left = SlotCache.update, [layer]

    def failing(self: Any, *args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            raise MemoryError
        return update(self, *args, **kwargs)

    monkeypatch.setattr(SlotCache, "update", failing)
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
    read = type(tiny._network).read

    def failing(self: Any, cache: Any, parts: Any) -> Any:
        if any(len(part.tokens) > 40 for part in parts):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate much")
        return read(self, cache, parts)

    monkeypatch.setattr(type(tiny._network), "read", failing)
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


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chats=some.lists(
        some.tuples(some.integers(1, 60), some.integers(1, 60), some.integers(0, 30)), min_size=1, max_size=12
    )
)
def test_buffers_stay_within_their_room(tiny: Any, chats: list[tuple[int, int, int]]) -> None:
    """Whatever widths come after whatever numbers of others; and nobody's answer changes by it."""
    from ranvier.engines.text.cache import SPARE
    from ranvier.engines.text.writing import Writing

    room, done, asked = 400, dict[int, Any](), dict[int, TextRequest]()
    writing = Writing(tiny._network, room=room)
    for number, (words, most, steps) in enumerate(chats):
        one = request(number, words=words, max_tokens=most)
        try:
            writing.join(number, one)
            asked[number] = one
        except NoRoom:
            pass
        for _ in range(steps):
            done.update(writing.step())
            cache = writing._slots.cache
            assert writing._slots.count * max(cache.positions - SPARE, 0) <= room
    done.update(finished(writing))
    assert {key: made.token_ids for key, made in done.items()} == {
        key: alone(tiny, one).token_ids for key, one in asked.items()
    }


def test_who_is_dropped_makes_room_at_once(tiny: Any) -> None:
    from ranvier.engines.text.writing import Writing

    writing = Writing(tiny._network, room=64)
    writing.join("a", request(1))
    writing.join("b", request(2))
    with pytest.raises(NoRoom):
        writing.join("c", request(3, max_tokens=20))
    assert writing.drop("a").finish_reason == "cancelled"
    writing.join("c", request(3, max_tokens=20))
    done = finished(writing)
    assert done["c"].token_ids == alone(tiny, request(3, max_tokens=20)).token_ids
    assert done["b"].token_ids == alone(tiny, request(2)).token_ids


def test_room_is_what_memory_leaves(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny._network
    assert network.room(0.5) * network.token_bytes <= 2 << 30
    monkeypatch.setattr("ranvier.engines.memory.free", lambda: 100 * network.token_bytes)
    writing = tiny.writing()
    with pytest.raises(NoRoom, match="try again"):
        writing.join(0, request(1, max_tokens=60))
    writing.join(1, request(1, max_tokens=20))
    assert set(finished(writing)) == {1}
