"""Connections within one event loop: what one end writes the other end reads, without a socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final

HIGH: Final = 64 * 1024
"""Unread bytes above which the writing end is asked to pause."""
LOW: Final = 16 * 1024
Address = tuple[str, int]


class End(asyncio.Transport):
    """One end of a connection. Bytes arrive in order, in a later step of the loop, as over a socket."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: Context, own: Address, peer: Address
    ) -> None:
        super().__init__({"sockname": own, "peername": peer})
        self._loop, self._context = loop, context
        self._protocol: asyncio.Protocol | None = None
        self._other: End | None = None
        self._inbox: deque[bytes] = deque()
        self._unread = 0
        self._paused = self._closing = self._ended = self._lost = False
        self._waits = False

    def attach(self, protocol: asyncio.Protocol, other: End) -> None:
        """Join both ends and tell the protocol in the loop's next step."""
        self._protocol, self._other = protocol, other
        self._soon(self._made)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whoever reads here."""
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        """Whether this end was closed."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether bytes are handed on."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Keep what comes."""
        self._paused = True

    def resume_reading(self) -> None:
        """Hand on what was kept."""
        self._paused = False
        self._soon(self._pump)

    @property
    def unread(self) -> int:
        """Bytes that came and were not handed on yet."""
        return self._unread

    def get_write_buffer_size(self) -> int:
        """Bytes that the other end has not read yet."""
        return self._other.unread if self._other else 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing: the limits are `HIGH` and `LOW`."""

    def can_write_eof(self) -> bool:
        """No half-closed connections here: HTTP needs none."""
        return False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send; dropped where this end or the other is closed, as a socket would."""
        if self._closing or self._other is None or self._other.is_closing() or not data:
            return
        self._other.take(bytes(data))
        if self._other.unread > HIGH and not self._waits:
            self._waits = True
            assert self._protocol is not None
            self._protocol.pause_writing()

    def take(self, data: bytes) -> None:
        """Bytes from the other end."""
        self._inbox.append(data)
        self._unread += len(data)
        self._soon(self._pump)

    def end(self, *, lose: bool = False) -> None:
        """The other end was closed: nothing follows what came; with ``lose`` that is forgotten, too."""
        if lose:
            self._inbox.clear()
            self._unread = 0
        self._ended = True
        self._soon(self._pump)

    def relieve(self) -> None:
        """The other end has read on: go on writing."""
        if self._waits:
            self._waits = False
            if self._protocol is not None and not self._lost:
                self._protocol.resume_writing()

    def close(self) -> None:
        """Close; the other end reads what was sent before, then the end of the stream."""
        self._close(lose=False)

    def abort(self) -> None:
        """Close at once; what the other end has not read yet is lost."""
        self._close(lose=True)

    def _close(self, *, lose: bool) -> None:
        if self._closing:
            return
        self._closing = True
        if self._other is not None:
            self._other.end(lose=lose)
        self._soon(self._lose)

    def _soon(self, step: Callable[[], None]) -> None:
        self._loop.call_soon(step, context=self._context)

    def _made(self) -> None:
        assert self._protocol is not None
        self._protocol.connection_made(self)

    def _pump(self) -> None:
        assert self._protocol is not None
        while self._inbox and self.is_reading():
            piece = self._inbox.popleft()
            self._unread -= len(piece)
            self._protocol.data_received(piece)
        if self._other is not None and self._unread <= LOW:
            self._other.relieve()
        if self._ended and not self._inbox and self.is_reading() and not self._protocol.eof_received():
            self.close()

    def _lose(self) -> None:
        if not self._lost and self._protocol is not None:
            self._lost = True
            self._inbox.clear()
            self._unread = 0
            self._protocol.connection_lost(None)
            self._other = None


class _Socket:
    """What a server says of where it listens."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def getsockname(self) -> Address:
        """Host and port."""
        return self._address


class Listener(asyncio.AbstractServer):
    """A server on the wire; ``closed`` is called once when it stops listening."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        factory: Callable[[], asyncio.BaseProtocol],
        address: Address,
        closed: Callable[[Address], None],
    ) -> None:
        self._loop, self._factory, self._address, self._closed = loop, factory, address, closed
        self._context = copy_context()
        self._serving = True

    @property
    def sockets(self) -> tuple[_Socket, ...]:
        """Where it listens; empty once closed."""
        return (_Socket(self._address),) if self._serving else ()

    def accept(self, client: End) -> End:
        """Answer a connection with its other end."""
        end = End(self._loop, self._context, self._address, client.get_extra_info("sockname"))
        protocol = self._context.copy().run(self._factory)
        assert isinstance(protocol, asyncio.Protocol)
        end.attach(protocol, client)
        return end

    def close(self) -> None:
        """Stop listening; connections that are open stay."""
        if self._serving:
            self._serving = False
            self._closed(self._address)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Its loop."""
        return self._loop

    def is_serving(self) -> bool:
        """Whether it listens."""
        return self._serving

    async def start_serving(self) -> None:
        """Nothing: it listens from the start."""

    async def serve_forever(self) -> None:
        """Until cancelled; then it is closed."""
        try:
            await self._loop.create_future()
        finally:
            self.close()

    async def wait_closed(self) -> None:
        """At once: no work of its own is left when it is closed."""
