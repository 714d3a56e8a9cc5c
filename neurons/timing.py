"""Handlers with a stop-watch."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from ranvier.protocol import Caller

Took = Callable[[str, float], None]
"""Hears the caller's hotkey and the seconds."""


def timed(handler: Any, took: Took) -> Any:
    """The same handler, a coroutine function or an async generator function, that tells how long it took."""
    if inspect.isasyncgenfunction(handler):

        @functools.wraps(handler)
        async def streaming(request: Any, caller: Caller) -> Any:
            started = time.perf_counter()
            try:
                async with aclosing(handler(request, caller)) as items:
                    async for item in items:
                        yield item
            finally:
                took(caller.hotkey, time.perf_counter() - started)

        return streaming

    @functools.wraps(handler)
    async def whole(request: Any, caller: Caller) -> Any:
        started = time.perf_counter()
        try:
            return await handler(request, caller)
        finally:
            took(caller.hotkey, time.perf_counter() - started)

    return whole
