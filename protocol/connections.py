"""The connections of an axon: bounded in number and in time, whatever their other ends do or leave undone."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from typing import Any, Final

from aiohttp import web

from ranvier.protocol.arrivals import FREE
from ranvier.protocol.codec import JSON
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.limits import Limits
from ranvier.protocol.request import refusal_body

_BEAT: Final = 0.25
"""Seconds between two looks for connections whose time is over."""
_BROKEN: Final = refusal_body(Refusal(Code.MALFORMED, "this is not HTTP/1.1 as RFC 9112 frames it"))


class _Conversation(web.RequestHandler):
    """What is not HTTP gets the same few bytes as any other stranger; the library would quote it back."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status != Code.MALFORMED.status:
            return super().handle_error(request, status, exc, message)
        manager = self._manager
        if isinstance(manager, Connections):
            manager.broken += 1
        response = web.Response(body=_BROKEN, status=status, content_type=JSON)
        response.force_close()
        return response


class Connections(web.Server):
    """Accepts connections and lets go of those that come to nothing.

    A connection is *unproven* until the door lets in a request on it, and again when that one is answered. It may be so
    for ``unproven_timeout`` seconds: then it is cut off, whether it sends slowly, reads slowly or does nothing at all,
    and refusals on it do not start the time anew. With more than ``max_connections`` one makes room: of the address
    that has most unproven ones, the oldest. So whoever only holds connections open keeps nobody out, and pushes out his
    own before those from elsewhere.
    """

    def __init__(self, handler: Any, limits: Limits, **options: Any) -> None:
        super().__init__(handler, **options)
        self._limits, self._options = limits, options
        self._unproven: dict[Any, float] = {}
        """By handler, when it became so (loop time): the oldest first."""
        self._leaving: set[Any] = set()
        """Those that were cut off, until the loop says that they have ended."""
        self._from: dict[Any, str] = {}
        """The other end's address, by handler."""
        self._timer: asyncio.TimerHandle | None = None
        self.broken = 0
        """Requests that were no HTTP."""
        self.cut_off = 0
        """Connections that were closed for what they did not do."""

    def __call__(self) -> web.RequestHandler:
        """The handler of a new connection."""
        return _Conversation(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Count it, and make room for it."""
        super().connection_made(handler, transport)
        # Bytes that are taken from the socket at once, and so what a body holds before anybody asks for it.
        if hasattr(transport, "max_size"):
            transport.max_size = FREE
        self._unproven[handler] = self._loop.time()
        self._from[handler] = _network(transport)
        if self.full:
            first = self._first_to_go()
            if first is not handler:
                self._cut_off(first)
        if self._timer is None:
            self._timer = self._loop.call_later(_BEAT, self._beat)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """Forget it."""
        self._unproven.pop(handler, None)
        self._from.pop(handler, None)
        self._leaving.discard(handler)
        super().connection_lost(handler, exc)

    @property
    def full(self) -> bool:
        """Whether there are more than may be, all but the newest at work."""
        return len(self._connections) - len(self._leaving) > self._limits.max_connections

    def admitted(self, handler: Any) -> None:
        """The door let a request on it in: the connection has the time of that request."""
        self._unproven.pop(handler, None)

    def answered(self, handler: Any) -> None:
        """Nothing is being done for it any more."""
        if handler in self._connections:
            self._unproven.setdefault(handler, self._loop.time())

    def close(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._timer = None
        over = self._loop.time() - self._limits.unproven_timeout
        for handler in [handler for handler, since in self._unproven.items() if since <= over]:
            self._cut_off(handler)
        if self._connections:
            self._timer = self._loop.call_later(_BEAT, self._beat)

    def _first_to_go(self) -> Any:
        held = Counter(self._from[handler] for handler in self._unproven)
        most = max(held.values())
        return next(handler for handler in self._unproven if held[self._from[handler]] == most)

    def _cut_off(self, handler: Any) -> None:
        """Abort: to close politely would wait for an end that does not read."""
        self._unproven.pop(handler, None)
        transport = self._connections.get(handler)
        if transport is not None:
            self.cut_off += 1
            self._leaving.add(handler)
            transport.abort()


def _network(transport: asyncio.Transport) -> str:
    """Whose connection it is, as far as an address tells: of IPv6 its first half, all of which one host may have."""
    host = (transport.get_extra_info("peername") or ("",))[0]
    if ":" not in host:
        return str(host)
    return str(ipaddress.IPv6Network((host.partition("%")[0], 64), strict=False))
