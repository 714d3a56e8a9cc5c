"""Compression of bodies (zlib, RFC 1950), agreed on in the signed query, and never beyond a cap."""

from __future__ import annotations

import zlib
from typing import Final

ZLIB: Final = "zlib"
WORTHWHILE: Final = 4096
"""Smaller bodies are sent as they are: a packet is a packet."""
_LEVEL: Final = 1
_SAVES: Final = 0.9


def pack(body: bytes) -> bytes | None:
    """The body compressed; None where that saves less than a tenth, or the body is small."""
    if len(body) < WORTHWHILE:
        return None
    packed = zlib.compress(body, _LEVEL)
    return packed if len(packed) <= _SAVES * len(body) else None


def unpack(packed: bytes, limit: int) -> bytes:
    """The body, never more than ``limit`` bytes in memory. Raises ValueError for anything but one whole stream."""
    machine = zlib.decompressobj()
    try:
        body = machine.decompress(packed, limit + 1)
    except zlib.error as error:
        raise ValueError("the body is not zlib") from error
    if len(body) > limit:
        raise ValueError(f"the body unpacks to more than {limit} bytes")
    if not machine.eof or machine.unused_data:
        raise ValueError("the body is not one whole zlib stream")
    return body
