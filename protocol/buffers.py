"""The buffers of one binary frame, while its models are written and read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel

MARK: Final = "ranvier-buffer"
"""The metadata of core schemas whose values travel as buffers."""


class BufferSink:
    """Takes buffers while a model is written; the serialization context."""

    def __init__(self) -> None:
        self.buffers: list[memoryview] = []

    def add(self, data: memoryview) -> int:
        """The number by which the frame's head names the buffer."""
        self.buffers.append(data)
        return len(self.buffers) - 1


class BufferSource:
    """Hands buffers out while a model is read; the validation context."""

    def __init__(self, buffers: Sequence[memoryview]) -> None:
        self._buffers = buffers
        self._taken: set[int] = set()

    def take(self, number: object) -> memoryview:
        """The buffer of that number; raises ValueError where there is none."""
        if type(number) is not int or not 0 <= number < len(self._buffers):
            raise ValueError("the frame has no buffer of that number")
        self._taken.add(number)
        return self._buffers[number]

    @property
    def untaken(self) -> int:
        """Buffers that no field asked for: a frame must not carry any."""
        return len(self._buffers) - len(self._taken)


@lru_cache(maxsize=1024)
def carries_buffers(model: type[BaseModel]) -> bool:
    """Whether a field of the model, at any depth, travels as a buffer."""
    return _marked(model.__pydantic_core_schema__)


def _marked(schema: Any) -> bool:
    if isinstance(schema, dict):
        return bool(schema.get(MARK)) or any(_marked(part) for part in schema.values())
    return isinstance(schema, list | tuple) and any(_marked(part) for part in schema)
