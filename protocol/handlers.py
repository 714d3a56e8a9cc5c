"""What an axon serves: for each synapse a handler, either one reply or a stream that ends in one."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from ranvier.protocol.caller import Caller
from ranvier.protocol.errors import HandlerUnfit
from ranvier.protocol.synapse import Synapse

S = TypeVar("S", bound=Synapse)

ReplyHandler = Callable[[S, Caller], Awaitable[BaseModel]]
StreamHandler = Callable[[S, Caller], AsyncIterator[str | BaseModel]]
Handler = ReplyHandler[S] | StreamHandler[S]


@dataclass(frozen=True, slots=True)
class Served:
    """One synapse and its handler. ``streams`` says which kind the handler is."""

    synapse: type[Synapse]
    handler: Callable[[Any, Caller], Any]
    streams: bool


def served(synapse: type[Synapse], handler: Callable[[Any, Caller], Any]) -> Served:
    """Check a handler; raises `HandlerUnfit` for a blocking function, which would stop every other request."""
    call = handler if inspect.isroutine(handler) else type(handler).__call__
    if inspect.isasyncgenfunction(call):
        return Served(synapse, handler, streams=True)
    if inspect.iscoroutinefunction(call):
        return Served(synapse, handler, streams=False)
    name = getattr(handler, "__qualname__", repr(handler))
    raise HandlerUnfit(
        f"{name} blocks: declare it `async def`, and move blocking work to a thread with asyncio.to_thread"
    )
