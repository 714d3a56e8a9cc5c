"""The published sampler, against its vectors and its promises."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.engines.text.gumbel import choose, entropy, gumbel_noise, log_softmax_at, scores, tempered, weigh

CASES = json.loads((files("ranvier.engines.text") / "seeded_gumbel_v1.json").read_text())["cases"]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"p{case['position']}-t{case['temperature']}-n{case['top_p']}"
)
def test_vectors(case: dict) -> None:
    seed, logits = bytes.fromhex(case["seed"]), np.array(case["logits"])
    assert gumbel_noise(seed, case["position"], len(logits)) == pytest.approx(case["noise"], abs=1e-9)
    perturbed = scores(logits, seed, case["position"], case["temperature"], case["top_p"])
    assert choose(perturbed) == case["token"]


def test_noise_is_standard_gumbel() -> None:
    noise = gumbel_noise(b"n" * 32, 0, 200_000)
    assert noise.mean() == pytest.approx(0.5772, abs=0.02)
    assert noise.var() == pytest.approx(np.pi**2 / 6, abs=0.03)


def test_sampling_follows_the_distribution() -> None:
    logits = np.array([0.0, 1.0, 2.0])
    draws = [choose(scores(logits, b"d" * 32, position, 1.0, 1.0)) for position in range(6000)]
    shares = np.bincount(draws, minlength=3) / len(draws)
    assert shares == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=0.03)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**40), st.integers(2, 300))
@settings(max_examples=50, deadline=None)
def test_noise_depends_on_seed_and_position_only(seed: bytes, position: int, size: int) -> None:
    noise = gumbel_noise(seed, position, size)
    assert np.array_equal(noise, gumbel_noise(seed, position, size + 7)[:size])
    assert not np.array_equal(noise, gumbel_noise(seed, position + 1, size))
    assert np.isfinite(noise).all()


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=40), st.floats(0.1, 2), st.floats(0.05, 1))
@settings(max_examples=100, deadline=None)
def test_the_nucleus_is_the_shortest_prefix(logits: list[float], temperature: float, top_p: float) -> None:
    full = np.exp(tempered(np.array(logits), temperature, 1.0))
    kept = np.isfinite(tempered(np.array(logits), temperature, top_p))
    assert kept.any()
    assert full[kept].sum() >= min(top_p, 1.0) - 1e-9
    assert full[kept].min() >= full[~kept].max(initial=0.0) - 1e-12


def test_temperature_zero_is_greedy_and_ties_go_to_the_lowest_id() -> None:
    assert choose(scores(np.array([1.0, 5.0, 5.0]), b"x" * 32, 0, 0.0, 1.0)) == 1


def test_entropy_and_log_probability() -> None:
    even = np.zeros(8)
    assert entropy(tempered(even, 1.0, 1.0)) == pytest.approx(np.log(8))
    assert log_softmax_at(even, 3) == pytest.approx(-np.log(8))


@given(
    st.lists(st.floats(-20, 20), min_size=2, max_size=40),
    st.integers(0, 39),
    st.floats(0.1, 2),
    st.sampled_from([0.5, 0.9, 1.0]),
)
@settings(max_examples=100, deadline=None)
def test_lean_says_which_of_two_tokens_is_likelier(
    logits: list[float], token: int, temperature: float, top_p: float
) -> None:
    """At every temperature, with and without a nucleus; the margin and the noise add up to it."""
    token %= len(logits)
    numbers = np.array(logits)
    seen = weigh(numbers, token, b"w" * 32, 3, temperature, top_p)
    chances = tempered(numbers, temperature, top_p)
    assert seen.lean == pytest.approx(chances[token] - chances[seen.expected], abs=1e-6)
    assert seen.expected != token or seen.lean == 0 == seen.margin
    noise = gumbel_noise(b"w" * 32, 3, len(logits))
    if np.isfinite(seen.lean):
        assert seen.margin == pytest.approx(noise[seen.expected] - noise[token] - seen.lean, abs=1e-6)
    greedy = weigh(numbers, token, None, 0, 0.0, 1.0)
    assert greedy.lean == -greedy.margin <= 0
