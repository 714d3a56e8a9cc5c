"""Connections kept open between requests, and the only place where a dendrite opens one."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Final

from ranvier.protocol.addresses import AddressPolicy
from ranvier.protocol.connection import MAX_HEAD, Incoming, read_head
from ranvier.protocol.resolver import allowed_addresses

IDLE: Final = 3.0
"""Seconds that a connection is kept unused; axons close theirs a second later."""
_SLICE: Final = 1 << 17
"""Bytes of a large body that are handed to the socket at a time."""
_PACKET: Final = 1 << 15
"""Bytes of a body that go out in one piece with their head."""
_ATTEMPT: Final = 2.0
"""Seconds for one of several addresses of a name."""


class Link:
    """One open connection."""

    __slots__ = ("key", "reader", "since", "writer")

    def __init__(
        self, key: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.key, self.reader, self.writer = key, reader, writer
        self.since = 0.0
        """Loop time at which it was last given back; 0 for one that carried nothing yet."""

    @property
    def alive(self) -> bool:
        """Whether the peer has not closed it, as far as is known."""
        return not self.reader.at_eof() and not self.writer.is_closing()


class Pool:
    """Connections by host and port; every address is judged by the policy before it is connected to."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._loop = asyncio.get_running_loop()
        self._idle: dict[tuple[str, int], list[Link]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self.opened = self.reused = 0
        """Connections that were opened, and requests that found one open."""

    def send(self, host: str, port: int, head: bytes, body: bytes) -> Sending:
        """``async with`` it: the request goes out, the response's head is there."""
        return Sending(self, (host, port), head, body)

    def close(self) -> None:
        """Drop all that are idle."""
        for links in self._idle.values():
            for link in links:
                link.writer.transport.abort()
        self._idle.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def take(self, key: tuple[str, int]) -> Link:
        """An idle connection, the youngest first, or a new one. Raises OSError."""
        links = self._idle.get(key)
        while links:
            link = links.pop()
            if link.alive:
                self.reused += 1
                return link
            link.writer.transport.abort()
        return await self.fresh(key)

    def keep(self, link: Link) -> None:
        """Give a connection back whose response was read to its end."""
        link.since = self._loop.time()
        self._idle.setdefault(link.key, []).append(link)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(IDLE, self._sweep)

    async def fresh(self, key: tuple[str, int]) -> Link:
        """A new connection. Raises OSError."""
        host, port = key
        *firsts, last = await allowed_addresses(self._policy, host, port)
        for address in firsts:  # one that does not answer must not cost the others their time
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_ATTEMPT):
                    return await self._connect(key, address)
        return await self._connect(key, last)

    async def _connect(self, key: tuple[str, int], address: str) -> Link:
        reader, writer = await asyncio.open_connection(address, key[1], limit=MAX_HEAD)
        self.opened += 1
        return Link(key, reader, writer)

    def _sweep(self) -> None:
        """Drop what was idle for too long; goes on while anything is left."""
        oldest = self._loop.time() - IDLE
        for key, links in list(self._idle.items()):
            for link in links:
                if link.since <= oldest:
                    link.writer.transport.abort()
            left = [link for link in links if link.since > oldest]
            if left:
                self._idle[key] = left
            else:
                del self._idle[key]
        self._sweeper = self._loop.call_later(IDLE, self._sweep) if self._idle else None


class Sending:
    """One request on its connection, which is kept only if the response was read to its end."""

    __slots__ = ("_body", "_head", "_incoming", "_key", "_link", "_pool")

    def __init__(self, pool: Pool, key: tuple[str, int], head: bytes, body: bytes) -> None:
        self._pool, self._key, self._head, self._body = pool, key, head, body
        self._incoming: Incoming | None = None

    async def __aenter__(self) -> Incoming:
        link = await self._pool.take(self._key)
        try:
            return await self._exchange(link)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            begun = isinstance(error, asyncio.IncompleteReadError) and error.partial
            if not link.since or begun:
                raise
        # The peer closed a kept connection just as it was used again. The same bytes may go out once more: where they
        # were received after all, their nonce makes them a replay.
        return await self._exchange(await self._pool.fresh(self._key))

    async def _exchange(self, link: Link) -> Incoming:
        self._link = link
        try:
            await self._write(link.writer)
            incoming = self._incoming = await read_head(link.reader)
            incoming.leave = link.writer.transport.abort
        except BaseException:
            link.writer.transport.abort()
            raise
        return incoming

    async def _write(self, writer: asyncio.StreamWriter) -> None:
        if len(self._body) < _PACKET:
            writer.write(self._head + self._body)
            return
        writer.write(self._head)
        body = memoryview(self._body)
        # A peer that refuses before it read all closes early: its refusal may be there all the same.
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(body), _SLICE):  # what the socket does not take at once is copied
                writer.write(body[start : start + _SLICE])
                await writer.drain()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._incoming is not None and self._incoming.reusable:
            self._pool.keep(self._link)
        else:
            self._link.writer.transport.abort()
