"""The bytes of one array as 10.x packs them: the five-member map of msgpack_numpy, and of msgpack nothing else.

Strict on purpose: those libraries also read records, objects and pickles from such bytes. Here an array is read only if
its bytes are exactly those that `pack_array` would have written for it, or the three-member map of a numpy scalar: what
arithmetic on an array without dimensions leaves behind.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from ranvier.protocol.tensor import MAX_DIMENSIONS, Tensor

CODES: Final = {
    "bool": b"|b1",
    "uint8": b"|u1",
    "int8": b"|i1",
    "int16": b"<i2",
    "int32": b"<i4",
    "int64": b"<i8",
    "float16": b"<f2",
    "float32": b"<f4",
    "float64": b"<f8",
}
"""Element types of that wire, by name, with numpy's codes for them."""
_NAMES: Final = {code: name for name, code in CODES.items()}
_BEFORE_TYPE: Final = b"\x85\xc4\x02nd\xc3\xc4\x04type\xa3"
_BEFORE_SCALAR_TYPE: Final = b"\x83\xc4\x02nd\xc2\xc4\x04type\xa3"
_BEFORE_SHAPE: Final = b"\xc4\x04kind\xc4\x00\xc4\x05shape"
_BEFORE_DATA: Final = b"\xc4\x04data"
_SIZES: Final = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
"""msgpack's tags of whole numbers, with their layouts."""


def pack_array(tensor: Tensor) -> bytes:
    """The array as msgpack. Raises ValueError for element types that 10.x does not know."""
    return _head(tensor.dtype, tensor.shape, tensor.data.nbytes) + tensor.data.tobytes()


def unpack_array(packed: bytes) -> Tensor:
    """The array, a view of ``packed``. Raises ValueError for any bytes that 10.x would not have written."""
    dtype = _NAMES.get(packed[len(_BEFORE_TYPE) : len(_BEFORE_TYPE) + 3])
    if not packed.startswith((_BEFORE_TYPE, _BEFORE_SCALAR_TYPE)) or dtype is None:
        raise ValueError("the buffer is no array of a known element type")
    shape: tuple[int, ...] = ()
    if packed.startswith(_BEFORE_SCALAR_TYPE):
        head = _BEFORE_SCALAR_TYPE + CODES[dtype] + _BEFORE_DATA + _length(int(CODES[dtype][2:]))
    else:
        shape = _shape(packed, len(_BEFORE_TYPE) + 3 + len(_BEFORE_SHAPE))
        head = _head(dtype, shape, math.prod(shape) * int(CODES[dtype][2:]))
    if not packed.startswith(head):
        raise ValueError("the buffer is not packed as 10.x packs arrays")
    return Tensor(dtype, shape, memoryview(packed)[len(head) :])


def _head(dtype: str, shape: tuple[int, ...], size: int) -> bytes:
    """Everything before the elements, ``size`` bytes of which follow."""
    code = CODES.get(dtype)
    if code is None:
        raise ValueError(f"{dtype} does not travel on the 10.x wire; these do: {', '.join(CODES)}")
    dimensions = bytes([0x90 | len(shape)]) if len(shape) < 16 else struct.pack(">BH", 0xDC, len(shape))
    sizes = b"".join(_number(size) for size in shape)
    return _BEFORE_TYPE + code + _BEFORE_SHAPE + dimensions + sizes + _BEFORE_DATA + _length(size)


def _number(value: int) -> bytes:
    if value < 0x80:
        return bytes([value])
    tag = 0xCC if value < 1 << 8 else 0xCD if value < 1 << 16 else 0xCE if value < 1 << 32 else 0xCF
    return bytes([tag]) + struct.pack(_SIZES[tag], value)


def _length(size: int) -> bytes:
    if size >= 1 << 32:
        raise ValueError("an array of 4 GiB or more does not travel on the 10.x wire")
    if size < 1 << 8:
        return bytes([0xC4, size])
    return struct.pack(">BH", 0xC5, size) if size < 1 << 16 else struct.pack(">BI", 0xC6, size)


def _shape(packed: bytes, at: int) -> tuple[int, ...]:
    """The sizes that stand at ``at``; whether they are written in the shortest way is left to the comparison."""
    try:
        count = (
            packed[at] & 0x0F if packed[at] & 0xF0 == 0x90 else struct.unpack_from(">H", packed, at + 1)[0]
        )
        at += 1 if packed[at] & 0xF0 == 0x90 else 3
        if count > MAX_DIMENSIONS:
            raise ValueError(f"an array has at most {MAX_DIMENSIONS} dimensions")
        sizes = []
        for _ in range(count):
            layout = _SIZES.get(packed[at])
            sizes.append(struct.unpack_from(layout, packed, at + 1)[0] if layout else packed[at])
            at += 1 + (struct.calcsize(layout) if layout else 0)
    except (IndexError, struct.error) as error:
        raise ValueError("the buffer is cut short") from error
    return tuple(sizes)
