"""What an axon serves: for each synapse a handler, either one reply or a stream that ends in one."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from ranvier.protocol.caller import Caller
from ranvier.protocol.errors import HandlerUnfit
from ranvier.protocol.synapse import Synapse
from ranvier.protocol.threads import Workers

S = TypeVar("S", bound=Synapse)

Answering = BaseModel | Awaitable[BaseModel] | AsyncIterator[str | BaseModel] | Iterator[str | BaseModel]
"""What a handler may return: a reply now (it blocks) or later, or pieces of text that end with a reply."""
Handler = Callable[[S, Caller], Answering]

_WRAPPED_THREADS: Final = 16


@dataclass(frozen=True, slots=True)
class Served:
    """One synapse and its handler, a coroutine function or, where it ``streams``, an async generator function."""

    synapse: type[Synapse]
    handler: Callable[[Any, Caller], Any]
    streams: bool

    async def reply(self, request: Synapse, caller: Caller) -> BaseModel:
        """The reply alone, without the pieces before it. Raises TypeError where it ends without one."""
        result = self.handler(request, caller)
        return await last(result) if self.streams else as_reply(await result)


def served(synapse: type[Synapse], handler: Callable[[Any, Caller], Any], workers: Workers) -> Served:
    """Check a handler; a blocking one will run in a thread of ``workers``, also its ``next`` if it is a generator.

    Raises `HandlerUnfit` for what cannot be called with (request, caller), and for a class: a handler is an instance.
    """
    _check(handler)
    if _is(inspect.isasyncgenfunction, handler):
        return Served(synapse, handler, streams=True)
    if _is(inspect.iscoroutinefunction, handler):
        return Served(synapse, handler, streams=False)
    if _is(inspect.isgeneratorfunction, handler):
        return Served(synapse, _streaming(handler, workers), streams=True)
    return Served(synapse, _replying(handler, workers), streams=False)


def whole(handler: Callable[[Any, Caller], Any]) -> Callable[[Any, Caller], Coroutine[Any, Any, BaseModel]]:
    """A handler of any kind as a coroutine function that gives its reply alone: for code that wraps handlers.

    Raises `HandlerUnfit`.
    """
    return served(Synapse, handler, Workers(_WRAPPED_THREADS)).reply


def _check(handler: Callable[[Any, Caller], Any]) -> None:
    if inspect.isclass(handler):
        raise HandlerUnfit(
            f"{_name(handler)} is a class: serve one of its instances, or a function (`async def` or `def`)"
        )
    if not callable(handler):
        raise HandlerUnfit(f"{_name(handler)} cannot be called: serve a function of (request, caller)")
    try:
        inspect.signature(handler).bind(None, None)
    except TypeError as error:
        raise HandlerUnfit(
            f"{_name(handler)} cannot be called with (request, caller): {error}. Declare exactly these two"
        ) from error
    except ValueError:  # some functions of compiled modules do not tell their parameters: the first call will
        return


def _is(kind: Callable[[object], bool], handler: Callable[[Any, Caller], Any]) -> bool:
    """Of this kind itself, or an object whose ``__call__`` is."""
    return kind(handler) or kind(type(handler).__call__)


def _name(handler: object) -> str:
    return str(getattr(handler, "__qualname__", repr(handler)))


def _replying(handler: Callable[[Any, Caller], Any], workers: Workers) -> Callable[[Any, Caller], Any]:
    def blocking(request: Synapse, caller: Caller) -> object:
        reply = handler(request, caller)
        if inspect.iscoroutine(reply):  # hidden behind a plain wrapper, so nobody could tell before
            reply.close()
            raise HandlerUnfit(f"{_name(handler)} returns a coroutine: declare it `async def`")
        return reply

    async def threaded(request: Synapse, caller: Caller) -> object:
        return await workers.run(partial(blocking, request, caller))

    return threaded


def _streaming(handler: Callable[[Any, Caller], Any], workers: Workers) -> Callable[[Any, Caller], Any]:
    def threaded(request: Synapse, caller: Caller) -> AsyncGenerator[object, None]:
        return workers.stream(partial(handler, request, caller))

    return threaded


async def last(items: AsyncGenerator[Any, None]) -> BaseModel:
    """The reply of a handler that streams, for a caller that wants no pieces. Raises TypeError without one."""
    async with aclosing(items):
        async for item in items:
            if not isinstance(item, str):
                return as_reply(item)
    return as_reply(None)


def as_reply(item: object) -> BaseModel:
    """What a handler returned, if it is a reply; raises TypeError."""
    if not isinstance(item, BaseModel):
        raise TypeError(f"a handler ends with a reply, not with {type(item).__name__}")
    return item
