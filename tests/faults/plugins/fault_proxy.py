"""A TCP proxy that spoils what passes through it, one fault at a time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

HOST = "127.0.0.1"
GENESIS = "X-Chain-Genesis"


class Fault(StrEnum):
    NONE = "none"
    REFUSED = "refused"
    """Nobody listens, and open connections are reset."""
    BLACK_HOLE = "black hole"
    """Connections are made, and every byte vanishes; those of this time stay dead for good."""
    HALF_OPEN = "half open"
    """Connections of before stay dead for good without a word; new ones work."""
    SILENT = "silent subscription"
    """Only the replies that tell of new blocks vanish."""
    RUBBISH = "200 with rubbish"
    WRONG_CHAIN = "another chain"
    ERRORS = "500"
    NOISE = "no HTTP at all"


@dataclass(eq=False)
class _Pipe:
    """One connection through the proxy."""

    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    dead: bool = False
    calls: bool = False

    def reset(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class FaultProxy:
    """Passes connections on to a port of this machine until `spoil` is called, and again after `heal`."""

    def __init__(self, target: int, genesis: str) -> None:
        self._target, self._genesis = target, genesis
        self._server: asyncio.Server | None = None
        self._pipes: set[_Pipe] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.fault = Fault.NONE
        self.port = 0
        self.at_call: Callable[[], None] | None = None
        """Done once when a call is on its way to the chain, before the chain has it."""
        self.at_reply: Callable[[], None] | None = None
        """Done once when the chain has a call, before the sender hears of it."""

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for pipe in self._pipes:
            pipe.reset()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def spoil(self, fault: Fault) -> None:
        self.fault = fault
        if fault is Fault.REFUSED:
            assert self._server is not None
            self._server.close()
            self._server = None
        for pipe in self._pipes:
            if fault in (Fault.BLACK_HOLE, Fault.HALF_OPEN):
                pipe.dead = True
            elif fault is not Fault.SILENT:
                pipe.reset()

    async def heal(self) -> None:
        """Work again for connections that are made from now on."""
        self.fault = Fault.NONE
        if self._server is None:
            await self.open()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        pipe = _Pipe([writer], dead=self.fault is Fault.BLACK_HOLE)
        self._pipes.add(pipe)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self.fault in _ANSWERS:
                    await self._lie(reader, writer)
                else:
                    await self._pass_on(pipe, reader, writer)
        finally:
            self._pipes.discard(pipe)
            pipe.reset()

    async def _lie(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWERS[self.fault](self._genesis))
        await writer.drain()
        await reader.read()

    async def _pass_on(self, pipe: _Pipe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, onward = await _connect(self._target)
        pipe.writers.append(onward)
        back = asyncio.create_task(self._pump(pipe, behind, writer))
        try:
            await self._pump(pipe, reader, onward)
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)

    async def _pump(self, pipe: _Pipe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the sender ends; of a dead pipe only the end is heard."""
        while data := await reader.read(1 << 16):
            if data.startswith(b"GET /v1/blocks") and self.fault is Fault.SILENT:
                pipe.dead = True
            if data.startswith(b"POST /v1/calls"):
                pipe.calls = True
                self.at_call = _done(self.at_call)
            elif data.startswith(b"HTTP/1.1 202") and pipe.calls:
                self.at_reply = _done(self.at_reply)
            if not pipe.dead:
                writer.write(data)
                await writer.drain()
        writer.close()


def _done(deed: Callable[[], None] | None) -> None:
    if deed is not None:
        deed()
    return


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    plug = socket.socket()
    plug.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plug, (HOST, port))
    return await asyncio.open_connection(sock=plug)


def _reply(status: str, body: bytes, genesis: str) -> bytes:
    named = f"{GENESIS}: {genesis}\r\n" if genesis else ""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{named}Content-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


_ANSWERS: dict[Fault, Callable[[str], bytes]] = {
    Fault.RUBBISH: lambda genesis: _reply("200 OK", b'{"number": [' + b"\xff" * 5000, genesis),
    Fault.WRONG_CHAIN: lambda _: _reply("200 OK", b"[]", "0x" + "7" * 64),
    Fault.ERRORS: lambda _: _reply("500 Internal Server Error", b"<h1>Bad gateway</h1>", ""),
    Fault.NOISE: lambda _: b"\x00\x01" * 700,
}


@asynccontextmanager
async def proxied(target: int, genesis: str) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(target, genesis)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
