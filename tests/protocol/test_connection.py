"""Responses as bytes: what is read, what is refused, and when a connection may carry another request."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.protocol import AddressPolicy
from ranvier.protocol.connection import MAX_HEAD, Incoming, read_head, write_head
from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.pool import Pool
from ranvier.protocol.room import Room

ROOM = Room(1 << 24)


async def received(data: bytes, *, ended: bool = True) -> Incoming:
    reader = asyncio.StreamReader(limit=MAX_HEAD)
    reader.feed_data(data)
    if ended:
        reader.feed_eof()
    return await read_head(reader)


OK = b"HTTP/1.1 200 OK\r\n"
BODIES = {
    "of a length": OK + b"Content-Length: 5\r\n\r\nhello",
    "in chunks": OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n",
    "in chunks with trailers": OK + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "to the end": OK + b"\r\nhello",
    "after interim ones": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK
    + b"Content-Length: 5\r\n\r\nhello",
    "of the old version": b"HTTP/1.0 200\r\nContent-Length:5\r\n\r\nhello",
}  # fmt: skip


@pytest.mark.parametrize("case", BODIES)
async def test_a_body(case: str) -> None:
    incoming = await received(BODIES[case])
    assert (incoming.status, await incoming.read(5, ROOM), incoming.complete) == (200, b"hello", True)
    assert incoming.reusable == (case not in {"to the end", "of the old version"})


@pytest.mark.parametrize("status", [204, 304])
async def test_a_response_without_body_waits_for_none(status: int) -> None:
    incoming = await received(b"HTTP/1.1 %d x\r\nTransfer-Encoding: chunked\r\n\r\n" % status, ended=False)
    assert await incoming.read(10, ROOM) == b"" and incoming.reusable


@pytest.mark.parametrize("case", BODIES)
async def test_a_body_beyond_the_limit(case: str) -> None:
    incoming = await received(BODIES[case])
    with pytest.raises(InvalidReply, match="longer than 4 bytes"):
        await incoming.read(4, ROOM)
    assert not incoming.reusable


@pytest.mark.parametrize("case", [case for case in BODIES if case != "to the end"])
async def test_a_body_that_is_cut_short(case: str) -> None:
    for end in range(BODIES[case].rindex(b"\r\n\r\n", 0, -4) + 4, len(BODIES[case])):
        incoming = await received(BODIES[case][:end])
        with pytest.raises(asyncio.IncompleteReadError):
            await incoming.read(5, ROOM)
        assert not incoming.reusable


REFUSED = {
    "no status": (b"SSH-2.0-OpenSSH\r\n\r\n", "no status"),
    "another version": (b"HTTP/2 200\r\n\r\n", "no status"),
    "a status of two digits": (b"HTTP/1.1 20\r\n\r\n", "no status"),
    "a header without colon": (OK + b"nothing\r\n\r\n", "header"),
    "a folded header": (OK + b"a: b\r\n c\r\n\r\n", "header"),
    "a space before the colon": (OK + b"Content-Length : 5\r\n\r\nhello", "header"),
    "an empty name": (OK + b": x\r\n\r\n", "header"),
    "two lengths": (OK + b"Content-Length: 5\r\ncontent-length: 6\r\n\r\n", "twice"),
    "length and chunks": (OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "framing"),
    "another coding": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "framing"),
    "chunks of the old version": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "framing"),
    "a negative length": (OK + b"Content-Length: -5\r\n\r\n", "length"),
    "a signed length": (OK + b"Content-Length: +5\r\n\r\n", "length"),
    "a length in other digits": (OK + "Content-Length: ٥\r\n\r\n".encode(), "length"),
    "interim responses without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "interim"),
    "a head without end": (OK + b"a: " + b"x" * 2 * MAX_HEAD, "head is longer"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_no_response(case: str) -> None:
    data, reason = REFUSED[case]
    with pytest.raises(InvalidReply, match=reason):
        await received(data, ended=False)


CHUNKS = {
    "no size": (b"x\r\n", "size"),
    "a negative size": (b"-1\r\n", "size"),
    "a size with spaces": (b" 5\r\nhello\r\n", "size"),
    "a size beyond 32 bits": (b"FFFFFFFFFF\r\n", "size"),
    "more than it says": (b"2\r\nhello\r\n0\r\n\r\n", "longer than it says"),
    "a size without end": (b"1" * 2 * MAX_HEAD, "line without end"),
    "trailers without end": (b"0\r\n" + b"a: b\r\n" * 99, "trailers"),
}


@pytest.mark.parametrize("case", CHUNKS)
async def test_chunks_that_cannot_be_read(case: str) -> None:
    data, reason = CHUNKS[case]
    incoming = await received(OK + b"Transfer-Encoding: chunked\r\n\r\n" + data, ended=False)
    with pytest.raises(InvalidReply, match=reason):
        await incoming.read(1 << 20, ROOM)


@given(st.binary(max_size=400))
def test_no_bytes_make_anything_but_a_response_or_a_typed_end(data: bytes) -> None:
    async def check() -> None:
        with contextlib.suppress(InvalidReply, asyncio.IncompleteReadError):
            await (await received(OK[:9] + data)).read(100, ROOM)

    asyncio.run(check())


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9), st.integers(1, 7))
def test_chunks_come_back_whole_however_they_arrive(chunks: list[bytes], step: int) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    data = OK + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"

    async def check() -> bytes:
        reader = asyncio.StreamReader(limit=MAX_HEAD)

        async def feed() -> None:
            for start in range(0, len(data), step):
                reader.feed_data(data[start : start + step])
                await asyncio.sleep(0)

        feeding = asyncio.ensure_future(feed())
        found = await (await read_head(reader)).read(1000, ROOM)
        await feeding
        return found

    assert asyncio.run(check()) == b"".join(chunks)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0b", "é"])
def test_nothing_breaks_out_of_its_line(value: str) -> None:
    with pytest.raises(InvalidReply, match="no text that can stand"):
        write_head("POST", "127.0.0.1:1", "/Echo", {"X-Bittensor-Receiver": value}, 0)


def test_a_head_as_it_is_written() -> None:
    head = write_head("POST", "[::1]:80", "/Echo?deadline=1", {"A": "b"}, 3)
    first, *headers = head.decode().split("\r\n")
    assert first == "POST /Echo?deadline=1 HTTP/1.1"
    assert headers == ["Host: [::1]:80", "Content-Length: 3", "A: b", "", ""]


class Fickle:
    """A server that answers, and closes the connection just as it is used again."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.closed = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK + b"Content-Length: 2\r\n\r\nhi")
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))  # received, and not answered
        writer.close()
        self.closed += 1


async def test_a_kept_connection_that_closes_as_it_is_used_costs_nobody_a_request() -> None:
    fickle = Fickle()
    server = await asyncio.start_server(fickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = Pool(AddressPolicy.local())
    async with server:
        for _ in range(3):
            async with pool.send("127.0.0.1", port, b"GET / HTTP/1.1\r\n\r\n", b"") as incoming:
                assert await incoming.read(10, ROOM) == b"hi"
        assert (pool.opened, pool.reused) == (3, 2)
        pool.close()
        while fickle.closed < 3:
            await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_new_connection_that_closes_at_once_is_not_asked_again() -> None:
    asked = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    pool = Pool(AddressPolicy.local())
    async with server:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            async with pool.send("127.0.0.1", server.sockets[0].getsockname()[1], b"x\r\n\r\n", b""):
                pass
        assert asked == 1
    await asyncio.sleep(0)
