"""Who asks: what requests are told apart by, so that those who share an engine take turns."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final

from aiohttp import web

HEADER: Final = "Ranvier-Client"
"""What our client names itself by. It shares an engine out among its owner's processes; it keeps no stranger away."""
LONGEST: Final = 64
_PEER: Final = struct.Struct("3i")

asker: ContextVar[str] = ContextVar("asker", default="")
"""Whose request the present task carries out."""


@web.middleware
async def asking(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Around every request: note who asks."""
    asker.set(request.headers.get(HEADER, "")[:LONGEST] or _peer(request))
    return await handler(request)


def _peer(request: web.Request) -> str:
    """The process at the other end of a Unix socket, the host at the other end of any other."""
    transport = request.transport
    sock = transport.get_extra_info("socket") if transport else None
    if sock is not None and sock.family == socket.AF_UNIX and hasattr(socket, "SO_PEERCRED"):
        pid, _, _ = _PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        return f"pid {pid}"
    return request.remote or ""
