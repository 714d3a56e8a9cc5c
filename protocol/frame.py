"""Binary frames: a JSON head, then raw buffers; tensors and pictures travel without base64 and are read without a copy.

Layout, all numbers little-endian: ``RVF1``; the head's length (4 bytes); the number of buffers (4 bytes); 4 zero bytes;
each buffer's length (8 bytes); the head; then the buffers. Head and buffers each begin at a multiple of 16 bytes; the
bytes between are zero. docs/wire.md has a worked example.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, TypeVar

from pydantic import BaseModel

from ranvier.protocol.buffers import BufferSink, BufferSource
from ranvier.protocol.text import MAX_VALUES, read_text

M = TypeVar("M", bound=BaseModel)

MAGIC: Final = b"RVF1"
ALIGNMENT: Final = 16
MAX_BUFFERS: Final = 1024
_START = struct.Struct("<4sIII")


def write_frame(model: BaseModel) -> bytes:
    """The model as a frame. Raises ValueError beyond `MAX_BUFFERS` buffers."""
    sink = BufferSink()
    head = model.__pydantic_serializer__.to_json(model, context=sink)
    return join(head, sink.buffers)


def read_frame(model: type[M], frame: bytes, *, most: int = MAX_VALUES) -> M:
    """The model that a frame holds; ``most`` caps the values of its head.

    Raises ValueError (of pydantic: ``ValidationError``) for any other bytes.
    """
    head, buffers = split(frame)
    source = BufferSource(buffers)
    value = read_text(model, head, source, most=most)
    if source.untaken:
        raise ValueError(f"{source.untaken} buffers of the frame belong to no field")
    return value


def join(head: bytes, buffers: Sequence[memoryview]) -> bytes:
    """Head and buffers in one piece: the only copy that sending makes."""
    if len(buffers) > MAX_BUFFERS:
        raise ValueError(f"a frame has at most {MAX_BUFFERS} buffers, not {len(buffers)}")
    sizes = struct.pack(f"<{len(buffers)}Q", *(buffer.nbytes for buffer in buffers))
    start = _START.pack(MAGIC, len(head), len(buffers), 0) + sizes
    parts: list[bytes | memoryview] = []
    whole: tuple[bytes | memoryview, ...] = (start, head, *buffers)
    for part in whole:
        parts.append(part)
        parts.append(bytes(-len(part) % ALIGNMENT))
    return b"".join(parts[:-1])


def split(frame: bytes) -> tuple[bytes, list[memoryview]]:
    """Head and buffers, the latter as views. Raises ValueError unless the frame is exactly as `join` writes it."""
    if len(frame) < _START.size:
        raise ValueError("the frame is cut short")
    magic, size, count, zero = _START.unpack_from(frame)
    if magic != MAGIC or zero or count > MAX_BUFFERS:
        raise ValueError("no frame of this version")
    start = _START.size + 8 * count
    if len(frame) < start:
        raise ValueError("the frame is cut short")
    sizes = struct.unpack_from(f"<{count}Q", frame, _START.size)
    view, end, parts = memoryview(frame), start, []
    for length in (size, *sizes):
        begin = end + -end % ALIGNMENT
        if view[end:begin].tobytes().strip(b"\0"):
            raise ValueError("the frame's padding is not zero")
        end = begin + length
        parts.append(view[begin:end])
    if end != len(frame):
        raise ValueError("the frame's length is not what its head says")
    return parts[0].tobytes(), parts[1:]
