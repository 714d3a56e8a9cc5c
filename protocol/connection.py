"""A dendrite's connections: HTTP/1.1 as far as a signed request needs it, believing nothing that the peer sends.

aiohttp's client costs as much CPU as all signatures of a call; what it does beyond this file (redirects, cookies,
proxies, decompression) is what a dendrite must not do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.room import FREE, Room

MAX_HEAD: Final = 1 << 15
"""Bytes of a response's head, and of any line in it or between chunks."""
PART: Final = 1 << 16
"""Bytes of a body that are read at once."""
_INTERIM: Final = 4
"""Responses of 1xx that are passed over."""
_TRAILERS: Final = 32
_BODILESS: Final = frozenset({204, 304})

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n\0]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n\0]*)?")


def write_head(method: str, host: str, path: str, headers: Mapping[str, str], size: int) -> bytes:
    """The head of a request. Raises `InvalidReply` for a value that would break out of its line."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {size}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines)
    if not head.isascii() or head.count("\n") >= len(lines) or head.count("\r") >= len(lines) or "\0" in head:
        raise InvalidReply("the target's hotkey or address is no text that can stand in a request")
    return f"{head}\r\n\r\n".encode()


class Incoming:
    """A response whose head was read; its body still stands in the connection. Nothing of it is believed."""

    def __init__(
        self, reader: asyncio.StreamReader, status: int, headers: dict[str, str], *, modern: bool
    ) -> None:
        self._reader, self.status, self.headers = reader, status, headers
        self.leave: Callable[[], None] = reader.feed_eof
        """Ends the connection at once, however far the body is."""
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        self._chunked = coding is not None
        if coding is not None and (coding.lower() != "chunked" or length is not None or not modern):
            raise InvalidReply("no HTTP: the body's framing is not one that is read")
        self.length = None if length is None else _length(length)
        """Bytes of the body, where its head tells."""
        if status in _BODILESS:
            self._chunked, self.length = False, 0
        self._keeps = modern and self.framed and headers.get("connection", "").lower() != "close"
        self.complete = False
        """Whether the body was read to its end."""

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request."""
        return self.complete and self._keeps

    @property
    def framed(self) -> bool:
        """Whether the body says where it ends; else only the connection's end does."""
        return self._chunked or self.length is not None

    async def read(self, limit: int, room: Room) -> bytes:
        """The whole body. Raises `InvalidReply` beyond ``limit`` bytes, without holding more of it.

        A large one waits until there is room for it, or for ``limit`` bytes where its length is not told.
        """
        length = self.length
        if length is not None and length > limit:
            raise InvalidReply(f"the reply is longer than {limit} bytes")
        if length is not None and length <= FREE:
            body = await self._reader.readexactly(length)
            self.complete = True
            return body
        parts, held = self.parts(), list[bytes]()
        size, whole = (0, False) if length is not None else await _gather(parts, held, min(FREE, limit))
        if whole:
            return b"".join(held)
        if size > limit:
            raise InvalidReply(f"the reply is longer than {limit} bytes")
        async with room.stay(limit if length is None else length, self.leave) as stay:
            while size <= limit:
                part = await anext(parts, b"")
                if not part:
                    return b"".join(held)
                held.append(part)
                size += len(part)
                stay.came += len(part)
        raise InvalidReply(f"the reply is longer than {limit} bytes")

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `InvalidReply`, and `asyncio.IncompleteReadError` where it is cut."""
        if self._chunked:
            async for part in self._chunks():
                yield part
        elif self.length is not None:
            async for part in self._span(self.length):
                yield part
        else:
            while part := await self._reader.read(PART):
                yield part
        self.complete = True

    async def _span(self, left: int) -> AsyncIterator[bytes]:
        while left:
            part = await self._reader.read(min(left, PART))
            if not part:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(part)
            yield part

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            found = _CHUNK.fullmatch(await _line(self._reader))
            if found is None:
                raise InvalidReply("no HTTP: a chunk's size cannot be read")
            size = int(found[1], 16)
            if not size:
                break
            async for part in self._span(size):
                yield part
            if await self._reader.readexactly(2) != b"\r\n":
                raise InvalidReply("no HTTP: a chunk is longer than it says")
        for _ in range(_TRAILERS):
            if not await _line(self._reader):
                return
        raise InvalidReply("no HTTP: trailers without end")


async def _gather(parts: AsyncIterator[bytes], held: list[bytes], enough: int) -> tuple[int, bool]:
    """Add parts until there are more than ``enough`` bytes or no more parts: bytes, and whether that is all."""
    size = 0
    async for part in parts:
        held.append(part)
        size += len(part)
        if size > enough:
            return size, False
    return size, True


async def read_head(reader: asyncio.StreamReader) -> Incoming:
    """The final response's head. Raises `InvalidReply`, and `asyncio.IncompleteReadError` where it is cut."""
    for _ in range(_INTERIM):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise InvalidReply(f"no HTTP: the head is longer than {MAX_HEAD} bytes") from error
        first, *lines = head[:-4].split(b"\r\n")
        found = _STATUS.fullmatch(first)
        if found is None:
            raise InvalidReply("no HTTP: the first line is no status")
        status = int(found[2])
        if status >= 200:
            return Incoming(reader, status, _headers(lines), modern=found[1] == b"1")
    raise InvalidReply("no HTTP: interim responses without end")


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise InvalidReply("no HTTP: a header cannot be read")
        key = name.decode("ascii").lower()
        if key in headers and key in {"content-length", "transfer-encoding"}:
            raise InvalidReply("no HTTP: the body's framing is told twice")
        headers[key] = value.strip(b" \t").decode("latin-1")
    return headers


def _length(text: str) -> int:
    if not _LENGTH.fullmatch(text.encode("latin-1")):
        raise InvalidReply("no HTTP: the body's length cannot be read")
    return int(text)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """A line without its end."""
    try:
        return (await reader.readuntil(b"\r\n"))[:-2]
    except asyncio.LimitOverrunError as error:
        raise InvalidReply("no HTTP: a line without end") from error
