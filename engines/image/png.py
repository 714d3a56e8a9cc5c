"""Reading a PNG that a stranger sent: one size, one pixel format, bounded work, nothing but pixels. Needs no library.

Accepted is what a picture needs and no more: 8-bit RGB, not interlaced, chunks IHDR, IDAT, IEND and plain text.
Compressed text, colour profiles and animation are refused, so nothing but the pixels is ever decompressed, and of
those no more than the expected size.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""Shape (height, width, 3)."""

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
CHANNELS: Final = 3
ALLOWED: Final = frozenset({b"IHDR", b"IDAT", b"IEND", b"tEXt"})
OVERHEAD: Final = 4096
"""Bytes that headers and text may add to the raw pixels."""


class BadPicture(ValueError):
    """The bytes are not a picture as it was asked for."""


def read_png(data: bytes, width: int, height: int) -> Pixels:
    """The pixels; raises `BadPicture`."""
    stride = width * CHANNELS
    if len(data) > height * (stride + 1) + OVERHEAD:
        raise BadPicture(f"{len(data)} bytes are too many for {width}x{height} pixels")
    packed = _chunks(data, width, height)
    reader = zlib.decompressobj()
    expected = height * (stride + 1)
    try:
        raw = reader.decompress(packed, expected + 1)
    except zlib.error as error:
        raise BadPicture(f"pixels cannot be decompressed: {error}") from error
    if len(raw) != expected or not reader.eof:
        raise BadPicture("the pixel data has another size than the picture")
    return _unfilter(raw, width, height)


def _chunks(data: bytes, width: int, height: int) -> bytes:
    """The joined pixel data of a well-formed file."""
    if not data.startswith(SIGNATURE):
        raise BadPicture("it is no PNG")
    place, packed, first = len(SIGNATURE), b"", True
    while True:
        if place + 12 > len(data):
            raise BadPicture("the file is cut off")
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        end = place + 12 + length
        if kind not in ALLOWED or first != (kind == b"IHDR"):
            raise BadPicture("it holds a chunk that is not allowed there")
        if end > len(data) or zlib.crc32(kind + body) != int.from_bytes(data[end - 4 : end], "big"):
            raise BadPicture("a chunk is damaged")
        if first and body != struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0):
            raise BadPicture(f"it is not {width}x{height} pixels of 8-bit RGB")
        if kind == b"IEND":
            if end != len(data):
                raise BadPicture("bytes follow the end")
            return packed
        packed += body if kind == b"IDAT" else b""
        place, first = end, False


def _unfilter(raw: bytes, width: int, height: int) -> Pixels:
    """Undo the five row filters of PNG."""
    stride = width * CHANNELS
    above = bytes(stride)
    rows = []
    for number in range(height):
        start = number * (stride + 1)
        above = _row(raw[start], raw[start + 1 : start + 1 + stride], above)
        rows.append(above)
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(height, width, CHANNELS)


def _row(kind: int, line: bytes, above: bytes) -> bytes:
    if kind > 4:
        raise BadPicture(f"there is no row filter {kind}")
    row = bytearray(line)
    for place in range(len(row)):
        left = row[place - CHANNELS] if place >= CHANNELS else 0
        corner = above[place - CHANNELS] if place >= CHANNELS else 0
        up = above[place]
        guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
        row[place] = (row[place] + guess) & 255
    return bytes(row)


def _paeth(left: int, up: int, corner: int) -> int:
    """Of three neighbours the one nearest to left + up - corner."""
    target = left + up - corner
    return min((left, up, corner), key=lambda one: abs(target - one))
