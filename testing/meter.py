"""What an answer costs: CPU seconds of the code that gives it, whatever runs in between."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Meter:
    """The account of one participant: CPU seconds, and how many answers they were for."""

    seconds: float = 0.0
    answers: int = 0


METER: ContextVar[Meter | None] = ContextVar("ranvier-meter", default=None)
"""Whose code is running; tasks that it starts inherit it."""


class Metered(Coroutine[Any, Any, T]):
    """A coroutine whose steps are charged to a meter; the loop may do other work between them."""

    def __init__(self, work: Coroutine[Any, Any, T], meter: Meter) -> None:
        self._work, self._meter = work, meter

    def send(self, value: Any) -> Any:
        """One step."""
        started = time.thread_time()
        try:
            return self._work.send(value)
        finally:
            self._meter.seconds += time.thread_time() - started

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: object = None,
        trace: TracebackType | None = None,
    ) -> Any:
        """One step that begins with an exception."""
        started = time.thread_time()
        try:
            return self._work.throw(kind if isinstance(kind, BaseException) else _made(kind, value))
        finally:
            self._meter.seconds += time.thread_time() - started

    def close(self) -> None:
        """End it early."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, T]:
        result: T = yield from self
        return result

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self.send(None)


def _made(kind: type[BaseException], value: object) -> BaseException:
    if isinstance(value, BaseException):
        return value
    return kind() if value is None else kind(value)
