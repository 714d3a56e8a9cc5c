"""exp and ln in integers: step for step as a plain form of them, and close to the true functions."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from plain_yuma import whole_exp, whole_ln

from ranvier.chain.fixed import ONE
from ranvier.chain.liquid import refuse_alphas
from ranvier.chain.series import exponential, natural_log, reciprocal


@given(st.lists(st.integers(-(24 << 32), 24 << 32) | st.sampled_from([0, ONE, -ONE, 2**62]), min_size=1))
def test_exp_is_the_plain_sum(exponents: list[int]) -> None:
    got = exponential(np.array(exponents, dtype=np.int64)).tolist()
    assert got == [whole_exp(x) or 0 for x in exponents]


@given(st.lists(st.integers(1 - (11 << 32), (11 << 32) - 1), min_size=1))
def test_exp_of_small_exponents_is_the_plain_sum(exponents: list[int]) -> None:
    got = exponential(np.array(exponents, dtype=np.int64)).tolist()
    assert got == [whole_exp(x) for x in exponents]


@given(st.integers(-1, 2**62))
def test_ln_is_the_plain_squaring(bits: int) -> None:
    assert natural_log(bits) == whole_ln(bits)


@given(st.integers(1, 2**63))
def test_reciprocals_are_exact(bits: int) -> None:
    assert reciprocal(np.array([bits], dtype=np.uint64)).tolist() == [2**64 // bits % 2**64]


@given(st.floats(-10, 10))
def test_exp_is_close_to_the_true_one(exponent: float) -> None:
    bits = int(exponent * ONE)
    got = int(exponential(np.array([bits]))[0]) / ONE
    assert math.isclose(got, math.exp(bits / ONE), rel_tol=4e-8, abs_tol=2 / ONE)


@given(st.floats(1e-3, 1e6))
def test_ln_is_close_to_the_true_one(value: float) -> None:
    bits = int(value * ONE)
    assert math.isclose(natural_log(bits) / ONE, math.log(bits / ONE), rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("era", "low", "high", "refusal"),
    [
        ("2024", 45875, 58982, None),
        ("2024", 45875, 52428, None),
        ("2024", 45875, 52427, "AlphaHighTooLow"),
        ("2024", 0, 58982, "AlphaLowOutOfRange"),
        ("2024", 52428, 58982, "AlphaLowOutOfRange"),
        ("y2", 1638, 1638, None),
        ("y2", 1637, 1637, "AlphaHighTooLow"),
        ("y2", 1637, 1638, "AlphaLowOutOfRange"),
        ("y2", 6554, 6553, "AlphaLowOutOfRange"),
    ],
)
def test_owners_may_set_alphas_within_the_eras_limits(
    era: str, low: int, high: int, refusal: str | None
) -> None:
    assert refuse_alphas(era, low, high) == refusal
