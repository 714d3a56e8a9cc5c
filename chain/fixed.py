"""The chain's fixed point: I32F32 numbers as bits in `uint64` arrays.

A number x is held as floor(x * 2**32). Every value of an epoch lies in [0, 2**16), so the sign bit is never
used and plain unsigned arithmetic reproduces the runtime's truncations bit for bit. Multiplication floors,
division truncates toward zero (the same for what is never negative), and `u16` results are floor(x * 65535).

Where the runtime widens to I64F64 or I96F32 (stake shares, emission) Python's own integers are used: those
steps touch one value per neuron, not one per weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
"""I32F32 bits; any shape."""

Signed = npt.NDArray[np.int64]
"""I32F32 bits that may be negative; any shape."""

Flags = npt.NDArray[np.bool_]
"""A mask; any shape."""

FRACTION = 32
ONE = 1 << FRACTION
U16_MAX = 65535
U64_MAX = (1 << 64) - 1

_SHIFT = np.uint64(FRACTION)
_HALF_SHIFT = np.uint64(16)
_ONE = np.uint64(ONE)
_U16 = np.uint64(U16_MAX)
_ROUND = np.uint64(1 << (FRACTION - 1))


def ratio(numerator: int, denominator: int) -> int:
    """Bits of numerator / denominator for two non-negative integers, truncated."""
    return (numerator << FRACTION) // denominator


def multiply(left: Bits, right: Bits | np.uint64) -> Bits:
    """Floor of the product of two arrays whose values are at most one.

    Only one times one leaves 64 bits (2**64 wraps to 0): then both operands carry bit 32 and nothing else,
    and the term `left & right & ONE` puts the one back.
    """
    product: Bits = ((left * right) >> _SHIFT) | (left & right & _ONE)
    return product


def divide(numerator: Bits, denominator: Bits) -> Bits:
    """Truncated quotient; 0 where the denominator is 0. Both arguments are below 2**16 (48 bits).

    One step is enough while every numerator is below one. Otherwise the quotient is built 16 bits at a time,
    as `numerator << 32` would leave 64 bits; the remainder carries what the first step dropped, so the result
    is exact.
    """
    safe = np.maximum(denominator, np.uint64(1))
    if numerator.size == 0 or int(numerator.max()) < ONE:
        quotient: Bits = (numerator << _SHIFT) // safe
    else:
        scaled = numerator << _HALF_SHIFT
        high = scaled // safe
        quotient = (high << _HALF_SHIFT) + (((scaled - high * safe) << _HALF_SHIFT) // safe)
    return np.where(denominator == 0, np.uint64(0), quotient)


def normalise(values: Bits, axis: int | None = None) -> Bits:
    """Divide by the sum (of all, or along `axis`); what sums to zero stays zero, as on the chain."""
    return divide(values, values.sum(axis=axis, keepdims=axis is not None, dtype=np.uint64))


def shares(amounts: Sequence[int]) -> Bits:
    """Each integer's share of the sum, computed in I64F64 and cut to I32F32; all zero when the sum is zero.

    amount / sum in I64F64 keeps 64 fraction bits and the cut drops 32 of them, which is one floor in all.
    """
    total = sum(amounts)
    if total == 0:
        return np.zeros(len(amounts), dtype=np.uint64)
    return np.array([(amount << FRACTION) // total for amount in amounts], dtype=np.uint64)


def to_u16(values: Bits) -> npt.NDArray[np.uint16]:
    """Floor(x * 65535) of values in [0, 1]."""
    return ((values * _U16) >> _SHIFT).astype(np.uint16)


def upscale_to_u16(values: Bits) -> npt.NDArray[np.uint16]:
    """Round(x * 65535 / max(x)) of values in [0, 1], halves up; zeros when the maximum is zero."""
    if values.size == 0 or int(values.max()) == 0:
        return np.zeros(values.shape, dtype=np.uint16)
    scaled = divide(values * _U16, values.max())
    return ((scaled + _ROUND) >> _SHIFT).astype(np.uint16)


def scale(values: Bits, amount: int) -> tuple[int, ...]:
    """Floor(x * amount) in I96F32 for each value; `amount` is any non-negative integer (rao)."""
    return tuple((bits * amount) >> FRACTION for bits in values.tolist())
