"""What the vLLM plugin chooses and what it turns away; tests/interop/test_vllm.py runs it in vLLM."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ranvier.engines.chat import asked
from ranvier.engines.models import Message, Sampling, TextRequest

PLUGIN = Path(__file__).resolve().parents[2] / "integrations" / "ranvier-vllm-gumbel"
CASES = json.loads((files("ranvier.engines.text") / "seeded_gumbel_v1.json").read_text())["cases"]
NEUTRAL = {
    "n": 1, "top_k": 0, "min_p": 0.0, "min_tokens": 0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "repetition_penalty": 1.0, "logit_bias": None, "allowed_token_ids": None, "bad_words": [],
    "structured_outputs": None,
}  # fmt: skip


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PLUGIN / "src"))
    from ranvier_vllm_gumbel import Seeded

    return Seeded


def params(seed: Any = "00" * 32, temperature: float = 1.0, top_p: float = 1.0, **more: Any) -> Any:
    """As vLLM holds them."""
    extra = None if seed is None else {"ranvier_seed": seed}
    return SimpleNamespace(
        **{**NEUTRAL, "extra_args": extra, "temperature": temperature, "top_p": top_p, **more}
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"p{case['position']}-t{case['temperature']}")
def test_the_published_vectors(seeded: Any, case: dict[str, Any]) -> None:
    said = list(range(case["position"])) if case["position"] < 10_000 else range(case["position"])
    one = seeded.of(params(case["seed"], case["temperature"], case["top_p"]), said)
    assert one.choose(np.array(case["logits"], dtype=np.float32)) == case["token"]


def test_the_position_is_that_of_the_list_as_it_grows(seeded: Any) -> None:
    said: list[int] = []
    one = seeded.of(params(), said)
    logits = np.zeros(500, dtype=np.float32)
    first = one.choose(logits)
    said.append(first)
    assert one.choose(logits) != first
    assert one.choose(logits) == seeded.of(params(), [-1]).choose(logits), "not of what it holds"


def test_what_our_client_sends_is_taken(seeded: Any) -> None:
    request = TextRequest((Message("user", "x"),), Sampling(8, 0.7, 0.9, (), bytes(range(32))))
    body = json.loads(asked(request, "m", stream=False))
    taken = {name: body[name] for name in NEUTRAL if name in body}
    one = seeded.of(params(body["vllm_xargs"]["ranvier_seed"], body["temperature"], body["top_p"], **taken))
    assert (one.seed, one.temperature, one.top_p) == (bytes(range(32)), 0.7, 0.9)


def test_a_request_without_a_seed_is_left_alone(seeded: Any) -> None:
    assert seeded.of(params(None, top_k=5)) is None


@pytest.mark.parametrize("seed", ["", "00", "zz" * 32, "00" * 33, 7, ["00" * 32]])
def test_a_seed_that_is_none(seeded: Any, seed: Any) -> None:
    with pytest.raises(ValueError, match="ranvier_seed"):
        seeded.of(params(seed))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2), ("top_k", 5), ("min_p", 0.1), ("min_tokens", 3), ("presence_penalty", 0.5),
        ("frequency_penalty", -0.5), ("repetition_penalty", 1.1), ("logit_bias", {5: 1.0}),
        ("allowed_token_ids", [1]), ("bad_words", ["sea"]), ("structured_outputs", object()),
    ],
)  # fmt: skip
def test_sampling_that_could_not_be_proven_is_refused(seeded: Any, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"seeded-gumbel-v1 has no {name}"):
        seeded.of(params(**{name: value}))


def test_vllm_finds_it() -> None:
    told = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    entries = told["entry-points"]["vllm.logits_processors"]
    assert entries == {"seeded-gumbel": "ranvier_vllm_gumbel.processor:SeededGumbel"}
    assert any(one.startswith("ranvier>=") for one in told["dependencies"])
