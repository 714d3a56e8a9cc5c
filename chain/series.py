"""exp and ln of I32F32 as the runtime computes them: integer series, equal on every machine.

The runtime takes both from the crate substrate_fixed: a Taylor sum of 32 terms and a logarithm by squaring. They are
redone here step by step. No vectors of them are published, so equality is not claimed, only closeness to the true
functions: 4e-8 relative for exponents up to 10, which is twice what the default steepness of liquid alpha can ask for;
the sum's missing terms make it .8 % at 20.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ranvier.chain.fixed import FRACTION, ONE, U64_MAX, Bits, Flags, Signed

_SHIFT: Final = np.uint64(FRACTION)
_LOW: Final = np.uint64(ONE - 1)
_HALF_SHIFT: Final = np.uint64(16)
_HALF_LOW: Final = np.uint64((1 << 16) - 1)
_E: Final = np.uint64(22_802_600 << 9)
"""e with 23 fraction bits: what the crate returns for exactly one."""
_LOG2_E: Final = 12_102_203 << 9
"""log2(e) with 23 fraction bits, the divisor of `natural_log`."""
_LARGEST: Final = np.uint64(1 << 31)
"""Whole numbers from here on leave I32F32."""
_HOPELESS: Final = np.uint64(32 << FRACTION)
_SMALL: Final = 11 << FRACTION
"""Below it no term of the sum has more than 46 bits."""
_TERMS: Final = 32


def exponential(exponents: Signed) -> Bits:
    """The powers of e to signed I32F32 exponents; 0 where the sum leaves I32F32, beyond 20.8885 either way."""
    size = np.abs(exponents).astype(np.uint64)
    total = _sum_of_small(size) if int(size.max(initial=0)) < _SMALL else _sum(size)
    total[exponents == ONE] = _E
    inverted = (exponents < 0) & (total > 0)
    total[inverted] = reciprocal(total[inverted])
    return total


def _sum_of_small(size: Bits) -> Bits:
    """The Taylor sum where nothing can leave the type and a product needs one split only."""
    whole, part = size >> _SHIFT, size & _LOW
    total, term = size + np.uint64(ONE), size.copy()
    for index in range(2, _TERMS):
        # (high * 2**16 + low) * part / 2**32, floored; whole * term needs no more than 50 bits.
        scaled = (term >> _HALF_SHIFT) * part
        scaled += ((term & _HALF_LOW) * part) >> _HALF_SHIFT
        scaled >>= _HALF_SHIFT
        term *= whole
        term += scaled
        term //= np.uint64(index)
        total += term
        if not term.any():
            break
    return total


def _sum(size: Bits) -> Bits:
    """The Taylor sum; 0 where a step of it leaves I32F32."""
    failed = size >= _HOPELESS
    size = np.where(failed, np.uint64(0), size)
    total, term = size + np.uint64(ONE), size
    for index in range(2, _TERMS):
        term, over = _product(term, size)
        term //= np.uint64(index)
        total += term
        over |= (total >> _SHIFT) >= _LARGEST
        failed |= over
        term[over] = 0
        total[over] = ONE
    return np.where(failed, np.uint64(0), total)


def reciprocal(values: Bits) -> Bits:
    """1 / x of positive I32F32 bits, truncated. 2**64 / x by way of the largest u64."""
    quotient: Bits = np.uint64(U64_MAX) // values
    exact = np.uint64(U64_MAX) - quotient * values == values - np.uint64(1)
    quotient += exact
    return quotient


def natural_log(bits: int) -> int:
    """Signed bits of ln for I32F32 bits; 0 for what has no logarithm, as in the runtime."""
    if bits <= 0:
        return 0
    if bits < ONE:
        return -natural_log((ONE << FRACTION) // bits)
    return (_log2(bits) << FRACTION) // _LOG2_E


def _log2(bits: int) -> int:
    """log2 of a value of at least one, bit by bit; halvings round up, as in the crate."""
    whole = 0
    while bits >= 2 * ONE:
        whole += 1
        bits = (bits >> 1) + (bits & 1)
    result = whole
    if bits == ONE:
        return result << FRACTION
    for _ in range(FRACTION):
        bits = (bits * bits) >> FRACTION
        result <<= 1
        if bits >= 2 * ONE:
            result |= 1
            bits = (bits >> 1) + (bits & 1)
    return result


def _product(left: Bits, right: Bits) -> tuple[Bits, Flags]:
    """(left * right as I32F32, whether it left the type); whole parts below 2**31 and 2**5."""
    left_whole, left_part = left >> _SHIFT, left & _LOW
    right_whole, right_part = right >> _SHIFT, right & _LOW
    middle = left_whole * right_part + left_part * right_whole + ((left_part * right_part) >> _SHIFT)
    whole = left_whole * right_whole + (middle >> _SHIFT)
    over = whole >= _LARGEST
    return np.where(over, np.uint64(0), (whole << _SHIFT) | (middle & _LOW)), over
