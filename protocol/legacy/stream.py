"""A stream to a 10.x caller: raw text, whose end only HTTP's own framing tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from ranvier.protocol.handlers import as_reply
from ranvier.protocol.legacy.replies import stream_headers
from ranvier.protocol.legacy.server import LegacyCall

LAST_BYTES: Final = 2.0
"""Seconds for what was written already, when a stream is broken off."""


class LegacyStream:
    """Sends its head with the first piece: a fault before it is an ordinary refusal, a later one breaks the connection.

    That wire has no trailer, so the reply that ends a handler's stream is not sent: the pieces are the answer there.
    """

    def __init__(self, request: web.BaseRequest, call: LegacyCall) -> None:
        self._request, self._call = request, call
        self.response: web.StreamResponse | None = None
        """The response, once it has begun."""

    async def run(self, items: AsyncIterator[Any]) -> BaseModel:
        """Send the pieces, and end the stream if there were any; the handler's reply. Raises TypeError without one."""
        async for item in items:
            if not isinstance(item, str):
                reply = as_reply(item)
                break
            if item:
                await self._write(item.encode())
        else:
            reply = as_reply(None)
        if self.response is not None:
            await self.response.write_eof()
        return reply

    def break_off(self) -> None:
        """End the connection without ending the stream: its caller's HTTP library sees that something is missing."""
        transport = self._request.transport
        if transport is not None:
            transport.close()
            asyncio.get_running_loop().call_later(LAST_BYTES, transport.abort)

    async def _write(self, piece: bytes) -> None:
        if self.response is None:
            self.response = web.StreamResponse(headers=stream_headers(self._call, self._request.headers))
            await self.response.prepare(self._request)
        await self.response.write(piece)
