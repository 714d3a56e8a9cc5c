"""The heads of weight files: what tensors there are. Reading one takes milliseconds, however large the file is."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

LARGEST: Final = 100 << 20
"""Bytes of a head of safetensors; the format allows no more."""
_MANY: Final = 1 << 24
"""Entries of anything in a GGUF head; a larger number is no GGUF."""
_SCALARS: Final = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9


def safetensors_head(file: Path) -> Mapping[str, Any]:
    """Tensor name: dtype, shape, offsets. Raises ValueError and OSError."""
    with file.open("rb") as raw:
        (size,) = struct.unpack("<Q", _take(raw, 8))
        if size > LARGEST:
            raise ValueError(f"{file.name} is no safetensors file")
        head = json.loads(_take(raw, size))
    if not isinstance(head, dict):
        raise TypeError(f"{file.name} is no safetensors file")
    return head


def gguf_head(file: Path) -> tuple[Mapping[str, Any], int]:
    """Facts by name, of lists only their length, and the number of parameters. Raises ValueError and OSError."""
    with file.open("rb") as raw:
        if _take(raw, 4) != b"GGUF":
            raise ValueError(f"{file.name} is no GGUF file")
        version, tensors, facts = struct.unpack("<IQQ", _take(raw, 20))
        if version not in (2, 3) or max(tensors, facts) > _MANY:
            raise ValueError(f"{file.name} is a GGUF file of an unknown version")
        found = {_string(raw): _value(raw, _number(raw, "<I")) for _ in range(facts)}
        parameters = 0
        for _ in range(tensors):
            _string(raw)
            parameters += math.prod(_number(raw, "<Q") for _ in range(_number(raw, "<I")))
            _take(raw, 12)  # type and place
    return found, parameters


def _value(raw: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(raw)
    if kind == _ARRAY:
        inner, count = _number(raw, "<I"), _number(raw, "<Q")
        if count > _MANY:
            raise ValueError("a list of that length is in no GGUF file")
        for _ in range(count):
            _value(raw, inner)
        return count
    return _number(raw, _SCALARS[kind])


def _string(raw: BinaryIO) -> str:
    return _take(raw, min(_number(raw, "<Q"), LARGEST)).decode(errors="replace")


def _number(raw: BinaryIO, form: str) -> Any:
    return struct.unpack(form, _take(raw, struct.calcsize(form)))[0]


def _take(raw: BinaryIO, count: int) -> bytes:
    found = raw.read(count)
    if len(found) != count:
        raise ValueError("the file is cut off")
    return found
