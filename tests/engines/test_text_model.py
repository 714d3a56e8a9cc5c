"""Generation and verification on a tiny model: batches, ends, streams, pruning, evidence."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from ranvier.engines.models import Message, Sampling, ScoreRequest, TextRequest

pytestmark = pytest.mark.models


def request(text: str = "user sea sky", seed: bytes | None = b"s" * 32, **how: Any) -> TextRequest:
    return TextRequest((Message("user", text),), Sampling(**{"max_tokens": 12, "seed": seed, **how}))


def scored(asked: TextRequest, token_ids: tuple[int, ...]) -> ScoreRequest:
    return ScoreRequest(asked.messages, asked.sampling, token_ids)


def test_the_seed_decides_every_token(tiny: Any) -> None:
    first, again, other = (
        tiny.generate([request(seed=seed)])[0] for seed in (b"a" * 32, b"a" * 32, b"b" * 32)
    )
    assert first == again
    assert first.token_ids != other.token_ids


def test_a_batch_gives_what_single_calls_give(tiny: Any) -> None:
    asked = [
        request("sea " * length, hashlib.sha256(bytes([length])).digest(), max_tokens=4 + length)
        for length in (1, 3, 9, 20)
    ]
    assert [one.token_ids for one in tiny.generate(asked)] == [
        tiny.generate([one])[0].token_ids for one in asked
    ]


def test_an_honest_answer_is_proven(tiny: Any) -> None:
    asked = [request(f"stone w{number}", bytes([number]) * 32, max_tokens=30) for number in range(4)]
    made = tiny.generate(asked)
    for one, answer, evidence in zip(
        asked, made, tiny.score([scored(*pair) for pair in zip(asked, (m.token_ids for m in made), strict=True)]),
        strict=True,
    ):  # fmt: skip
        assert evidence.expected == answer.token_ids
        assert max(evidence.margin) == 0
        assert evidence.logprob == pytest.approx(answer.logprobs, abs=1e-4)
        assert evidence.text == answer.text
        assert one.sampling.max_tokens >= len(answer.token_ids)


@pytest.mark.parametrize("change", [{"seed": b"z" * 32}, {"temperature": 0.3}])
def test_other_noise_or_temperature_shows(tiny: Any, change: dict[str, Any]) -> None:
    honest = request(max_tokens=60)
    cheat = replace(honest, sampling=replace(honest.sampling, **change))
    (made,) = tiny.generate([cheat])
    (evidence,) = tiny.score([scored(honest, made.token_ids)])
    share = sum(a == b for a, b in zip(evidence.expected, made.token_ids, strict=True)) / len(made.token_ids)
    assert share < 0.9
    assert sum(evidence.margin) > 0.5


def test_a_pruned_model_shares_weights_and_shows(tiny: Any) -> None:
    from ranvier.engines.text.model import CausalText

    pruned = CausalText("tiny-pruned", tiny._network.pruned(1))
    assert pruned._network._model.model.layers[0] is tiny._network._model.model.layers[0]
    asked = request(max_tokens=60)
    (made,) = pruned.generate([asked])
    (evidence,) = tiny.score([scored(asked, made.token_ids)])
    assert evidence.expected != made.token_ids
    assert pruned.info.digest != tiny.info.digest


def test_the_end_token_ends_and_counts(tiny: Any) -> None:
    made = tiny.generate([request(seed=bytes([n]) * 32, max_tokens=200, temperature=2.0) for n in range(6)])
    ended = [one for one in made if one.finish_reason == "stop"]
    assert ended
    for one in ended:
        assert one.token_ids[-1] == 3
        assert 3 not in one.token_ids[:-1]


def test_pieces_add_up_and_a_row_can_be_cancelled(tiny: Any) -> None:
    said: dict[int, list[str]] = {0: [], 1: []}

    def on_token(row: int, _token: int, piece: str) -> bool:
        said[row].append(piece)
        return row == 0 or len(said[1]) < 3

    whole, cut = tiny.generate([request(), request(seed=b"q" * 32)], on_token)
    assert "".join(said[0]) == whole.text
    assert cut.finish_reason == "cancelled"
    assert len(cut.token_ids) == 3


def test_a_stop_string_stops(tiny: Any) -> None:
    (free,) = tiny.generate([request(max_tokens=20)])
    word = free.text.split()[3]
    (stopped,) = tiny.generate([request(max_tokens=20, stop=(word,))])
    assert stopped.finish_reason == "stop"
    assert len(stopped.token_ids) <= len(free.token_ids)
    assert stopped.text == free.text[: free.text.index(word)]
    assert stopped.token_ids == free.token_ids[: len(stopped.token_ids)]


def test_what_does_not_fit_is_refused(tiny: Any) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        tiny.generate([request(max_tokens=400)])
    with pytest.raises(ValueError, match="vocabulary"):
        tiny.score([scored(request(), (1, 9999))])
