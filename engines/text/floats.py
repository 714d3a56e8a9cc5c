"""Floating-point numbers by their bits, for compiled kernels: numba knows no bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

WORD, FLOAT = ir.IntType(32), ir.FloatType()


def _wide(_typing: Any, bits: Any) -> Any:
    """The float32 that 16 bits of a bfloat16, or 32 bits of its own, say."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        (word,) = arguments
        if bits.bitwidth == 16:
            word = builder.shl(builder.zext(word, WORD), ir.Constant(WORD, 16))
        return builder.bitcast(word, FLOAT)

    return types.float32(bits), build


def _narrow(_typing: Any, _number: Any, kind: Any) -> Any:
    """The bits of a float32 as ``kind``; 16 of them are the nearest bfloat16, of two equally near the even one."""
    half = kind.dtype.bitwidth == 16

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = builder.bitcast(arguments[0], WORD)
        if not half:
            return word
        odd = builder.and_(builder.lshr(word, ir.Constant(WORD, 16)), ir.Constant(WORD, 1))
        word = builder.add(word, builder.add(odd, ir.Constant(WORD, 0x7FFF)))
        return builder.trunc(builder.lshr(word, ir.Constant(WORD, 16)), ir.IntType(16))

    return kind.dtype(types.float32, kind), build


def _power_of_two(_typing: Any, _exponent: Any) -> Any:
    """2 to a whole number from -126 to 127."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        biased = builder.add(arguments[0], ir.Constant(WORD, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(WORD, 23)), FLOAT)

    return types.float32(types.int32), build


# What they are to compiled code: there the first argument is the compiler's.
wide: Any = intrinsic(_wide)
narrow: Any = intrinsic(_narrow)
power_of_two: Any = intrinsic(_power_of_two)


@njit(fastmath=True, error_model="numpy", inline="always")
def exp_of(number):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The exponential of a number not above 0, within 3e-7 of itself; one of the C library is not vectorised.

    The polynomial for 2**x, x from -1/2 to 1/2, is that of `exp2f` in Cephes (Moshier 1989).
    """
    scaled = max(number, np.float32(-87)) * np.float32(1.4426950408889634)
    whole = np.floor(scaled + np.float32(0.5))
    rest = scaled - whole
    made = np.float32(1.535336188319500e-4)
    made = made * rest + np.float32(1.339887440266574e-3)
    made = made * rest + np.float32(9.618437357674640e-3)
    made = made * rest + np.float32(5.550332471162809e-2)
    made = made * rest + np.float32(2.402264791363012e-1)
    made = made * rest + np.float32(6.931472028550421e-1)
    made = made * rest + np.float32(1)
    return made * power_of_two(np.int32(whole))
