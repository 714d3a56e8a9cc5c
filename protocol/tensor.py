"""Tensors and blobs: what travels raw in a binary frame, and as base64 where a body is JSON.

>>> import numpy as np
>>> Tensor.of(np.arange(6, dtype=np.float32).reshape(2, 3)).shape
(2, 3)
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from ranvier.protocol.buffers import MARK, BufferSink, BufferSource

BFLOAT16: Final = "bfloat16"
MAX_DIMENSIONS: Final = 32
_TOO_LARGE: Final = 1 << 62
_PLAIN: Final = frozenset(
    {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
    | {"float16", "float32", "float64", "complex64", "complex128"}
)
_SIZED: Final = re.compile(
    r"[SU][1-9][0-9]{0,5}|(datetime64|timedelta64)\[(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]", re.ASCII
)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The little-endian numpy type that holds elements of ``name``; 16-bit words for bfloat16. Raises ValueError."""
    if name == BFLOAT16:
        return np.dtype("<u2")
    if name not in _PLAIN and not _SIZED.fullmatch(name):
        raise ValueError(f"{name[:32]!r} is no element type that travels")
    return np.dtype(name).newbyteorder("<")


def dtype_name(dtype: np.dtype[Any]) -> str:
    """The name on the wire. Raises ValueError for objects, records and types whose bytes differ by platform."""
    sized = dtype.kind in "SU"
    name = f"{dtype.kind}{dtype.itemsize // (4 if dtype.kind == 'U' else 1)}" if sized else dtype.name
    numpy_dtype(name)
    return name


@dataclass(frozen=True, slots=True, repr=False)
class Tensor:
    """An n-dimensional array: element type by name, shape, and its bytes in C order, little-endian.

    Values are whatever the sender wrote, NaN and infinity included: declare `Like` where that matters. Received
    tensors are views into the message; nothing is copied. Raises ValueError where bytes, type and shape differ.
    """

    dtype: str
    shape: tuple[int, ...]
    data: memoryview
    """The elements as read-only bytes."""

    def __post_init__(self) -> None:
        if len(self.shape) > MAX_DIMENSIONS or any(size < 0 for size in self.shape):
            raise ValueError(f"a shape has at most {MAX_DIMENSIONS} sizes, none negative")
        itemsize = numpy_dtype(self.dtype).itemsize
        if (
            math.prod(max(1, size) for size in self.shape) * itemsize >= _TOO_LARGE
        ):  # numpy refuses it, even if empty
            raise ValueError("the shape is larger than any memory")
        needed = math.prod(self.shape) * itemsize
        if self.data.nbytes != needed:
            raise ValueError(
                f"{self.dtype} of shape {self.shape} takes {needed} bytes, not {self.data.nbytes}"
            )
        if self.dtype == "bool" and bytes(self.data).strip(b"\0\1"):
            raise ValueError("a byte of a bool tensor is neither 0 nor 1")
        object.__setattr__(self, "data", self.data.toreadonly())

    @classmethod
    def of(cls, array: NDArray[Any]) -> Self:
        """A numpy array. No copy is made of one that is contiguous: leave it unchanged until it was sent."""
        name = dtype_name(array.dtype)
        flat = np.ascontiguousarray(array, dtype=numpy_dtype(name)).reshape(-1)
        return cls(name, array.shape, flat.view(np.uint8).data)

    @classmethod
    def bfloat16(cls, bits: NDArray[np.uint16]) -> Self:
        """Brain floats, given as their 16-bit words (of torch: ``tensor.view(torch.uint16).numpy()``)."""
        words = cls.of(bits)
        if words.dtype != "uint16":
            raise ValueError(f"brain floats are 16-bit words, not {words.dtype}")
        return cls(BFLOAT16, words.shape, words.data)

    @property
    def array(self) -> NDArray[Any]:
        """A read-only numpy view. Raises ValueError for bfloat16, which numpy lacks: `bits` or `float32`."""
        if self.dtype == BFLOAT16:
            raise ValueError("numpy has no bfloat16: take `bits` (16-bit words) or `float32()` (exact)")
        return self._view(self.dtype)

    @property
    def bits(self) -> NDArray[np.uint16]:
        """The 16-bit words of brain floats. Raises ValueError for other types."""
        if self.dtype != BFLOAT16:
            raise ValueError(f"{self.dtype} has no brain-float words")
        return self._view(BFLOAT16)

    def float32(self) -> NDArray[np.float32]:
        """The values as float32: exact for bfloat16 and float16, rounded for wider types."""
        if self.dtype != BFLOAT16:
            return self.array.astype(np.float32)
        return (self.bits.astype("<u4") << 16).view(np.float32)

    def _view(self, name: str) -> NDArray[Any]:
        return np.frombuffer(self.data, dtype=numpy_dtype(name)).reshape(self.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tensor):
            return NotImplemented
        return (self.dtype, self.shape) == (other.dtype, other.shape) and self.data == other.data

    def __hash__(self) -> int:
        return hash((self.dtype, self.shape, bytes(self.data)))

    def __repr__(self) -> str:
        return f"Tensor({self.dtype}, {self.shape})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _read_tensor,
            serialization=core_schema.plain_serializer_function_ser_schema(_write_tensor, info_arg=True),
            metadata={MARK: True},
        )


@dataclass(frozen=True, slots=True)
class Like:
    """What a tensor field must be: ``label: Annotated[Tensor, Like("float32", (None, 3))]``.

    ``None`` in a shape stands for any size. ``finite`` refuses NaN and infinity in every floating type.
    """

    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    finite: bool = True

    def check(self, tensor: Tensor) -> Tensor:
        """The tensor itself; raises ValueError where it differs."""
        if self.dtype is not None and tensor.dtype != self.dtype:
            raise ValueError(f"elements are {tensor.dtype}, not {self.dtype}")
        if self.shape is not None and not _fits(tensor.shape, self.shape):
            raise ValueError(f"the shape is {tensor.shape}, not {self.shape}")
        if self.finite and not _finite(tensor):
            raise ValueError("a value is not finite")
        return tensor

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True, slots=True, repr=False)
class Blob:
    """Bytes that travel raw in a binary frame: a picture, a sound. ``bytes(blob)`` copies, ``blob.data`` does not."""

    data: memoryview

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", memoryview(self.data).cast("B").toreadonly())

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Self:
        """Wrap without a copy: leave a bytearray unchanged until it was sent."""
        return cls(memoryview(data))

    def __bytes__(self) -> bytes:
        return bytes(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, Blob) else NotImplemented

    def __hash__(self) -> int:
        return hash(bytes(self.data))

    def __repr__(self) -> str:
        return f"Blob({len(self.data)} bytes)"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _read_blob,
            serialization=core_schema.plain_serializer_function_ser_schema(_write_blob, info_arg=True),
            metadata={MARK: True},
        )


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(want is None or size == want for size, want in pairs)


def _finite(tensor: Tensor) -> bool:
    if tensor.dtype == BFLOAT16:
        return not bool(np.any((tensor.bits & 0x7F80) == 0x7F80))
    return tensor.array.dtype.kind not in "fc" or bool(np.isfinite(tensor.array).all())


def _read_tensor(value: object, info: ValidationInfo) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray):
        return Tensor.of(value)
    members = value if isinstance(value, Mapping) and len(value) == 3 else {}
    dtype, shape = members.get("dtype"), members.get("shape")
    sizes = tuple(shape) if isinstance(shape, list | tuple) else (None,)
    if isinstance(dtype, str) and all(type(size) is int for size in sizes):
        return Tensor(dtype, sizes, _bytes_of(members, info))
    raise ValueError("a tensor is an object of dtype, shape (whole numbers) and data")


def _read_blob(value: object, info: ValidationInfo) -> Blob:
    if isinstance(value, Blob):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return Blob.of(value)
    if isinstance(value, str):
        return Blob(_decoded(value))
    if isinstance(value, Mapping) and len(value) == 1:
        return Blob(_bytes_of(value, info))
    raise ValueError("a blob is base64 text, or the number of a buffer in a frame")


def _bytes_of(value: Mapping[Any, Any], info: ValidationInfo) -> memoryview:
    if "buffer" in value:
        if not isinstance(info.context, BufferSource):
            raise ValueError("buffers exist only in a binary frame")
        return info.context.take(value["buffer"])
    text = value.get("data")
    if isinstance(text, str):
        return _decoded(text)
    raise ValueError("data must be base64 text")


def _decoded(text: str) -> memoryview:
    try:
        return memoryview(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError("data must be base64 text") from error


def _write_tensor(tensor: Tensor, info: SerializationInfo) -> object:
    if info.mode_is_json():
        return {"dtype": tensor.dtype, "shape": list(tensor.shape), **_written(tensor.data, info)}
    return tensor


def _write_blob(blob: Blob, info: SerializationInfo) -> object:
    if not info.mode_is_json():
        return blob
    written = _written(blob.data, info)
    return written if "buffer" in written else written["data"]


def _written(data: memoryview, info: SerializationInfo) -> dict[str, object]:
    if isinstance(info.context, BufferSink):
        return {"buffer": info.context.add(data)}
    return {"data": base64.b64encode(data).decode()}
