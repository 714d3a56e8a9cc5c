"""Every answer that could cost a validator memory, time or trust, and what its round must say of it."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from hostile_miner import (
    BOB,
    GOOD,
    JSON,
    MALLORY,
    Behaviour,
    Writer,
    drip,
    endless_headers,
    frames,
    head,
    raw,
    replying,
    silent,
)  # fmt: skip

from ranvier.protocol import Reply, Synapse, Tensor
from ranvier.protocol.codec import FRAME
from ranvier.protocol.frame import write_frame
from ranvier.protocol.replies import FrameChain, sign_reply
from ranvier.protocol.streams import STREAM_TYPE

GIGABYTE: Final = 1 << 30
PIECE: Final = b"x" * (1 << 16)


class Grid(Synapse):
    """An array, both ways."""

    values: Tensor

    class Reply(Reply):
        """The same."""

        values: Tensor


@dataclass(frozen=True)
class Exhibit:
    """A behaviour, how it is asked (ask, stream, grid), and the outcome that it must come to."""

    behaviour: Behaviour
    outcome: str
    reason: str = ""
    call: str = "ask"


def pouring(start: bytes, part: Callable[[int], bytes]) -> Behaviour:
    """Sends ``part(n)`` until the other side has had enough, or 1 GB."""

    async def behave(asked: bytes, writer: Writer) -> None:
        writer.write(start)
        sent = number = 0
        while sent < GIGABYTE:
            piece = part(number)
            writer.write(piece)
            sent, number = sent + len(piece), number + 1
            await writer.drain()

    return behave


def signed(body: bytes, kind: str = JSON, **more: str) -> Behaviour:
    """A whole reply of any type, signed as it must be."""

    async def behave(asked: bytes, writer: Writer) -> None:
        signature = sign_reply(BOB, asked, 200, kind, body)
        writer.write(head(200, len(body), kind, X_Ranvier_Signature=signature, **more) + body)
        await writer.drain()

    return behave


def chunked(part: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(part), part)


def broken_off(sent: bytes) -> Behaviour:
    """Resets the connection after so much."""

    async def behave(asked: bytes, writer: Writer) -> None:
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    return behave


def zstd_bomb() -> bytes:
    """A gigabyte of zeros as 8,192 run-length blocks (RFC 8878)."""
    block = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * 8192


def zeros(window: int) -> bytes:
    """256 MB of zeros, deflated."""
    machine = zlib.compressobj(9, zlib.DEFLATED, window)
    return b"".join([*(machine.compress(bytes(1 << 20)) for _ in range(256)), machine.flush()])


def grid(shape: str) -> bytes:
    """A frame with sixteen bytes of data that says it is of another shape."""
    frame = write_frame(Grid.Reply(values=Tensor.of(np.zeros(4, dtype=np.float32))))
    start = frame.index(b"{")
    size = int.from_bytes(frame[4:8], "little")
    told = frame[start : start + size]
    other = told.replace(b'"shape":[4]', f'"shape":{shape}'.encode())
    assert other != told
    return frame[:4] + len(other).to_bytes(4, "little") + frame[8:start] + other + frame[start + size :]


def nothing_but_pieces(piece: bytes) -> Behaviour:
    """A stream that goes on for a gigabyte, honest in each frame."""

    async def behave(asked: bytes, writer: Writer) -> None:
        chain = FrameChain(asked)
        chain.add(piece)
        await pouring(head(kind=STREAM_TYPE), lambda _: piece * (1 + PIECE.__len__() // len(piece)))(
            asked, writer
        )

    return behave


def bombs() -> dict[str, Exhibit]:
    """Small on the wire, large when believed."""
    gzip, deflate, packed = zeros(31), zeros(-15), zeros(15)
    told = "compressed by a header"
    return {
        "gzip bomb": Exhibit(signed(gzip, Content_Encoding="gzip"), "Invalid", told),
        "deflate bomb": Exhibit(signed(deflate, Content_Encoding="deflate"), "Invalid", told),
        "br bomb": Exhibit(signed(deflate, Content_Encoding="br"), "Invalid", told),
        "zstd bomb": Exhibit(signed(zstd_bomb(), Content_Encoding="zstd"), "Invalid", told),
        "our own packing": Exhibit(signed(packed, f"{JSON}+zlib"), "Invalid", "unpacks to more than"),
        "nested 100,000 deep": Exhibit(signed(b"[" * 100_000), "Invalid", "not what Echo declares"),
        "nested in a text": Exhibit(
            signed(b'{"text":' + b"[" * 100_000), "Invalid", "not what Echo declares"
        ),
        "numbers without end": Exhibit(
            signed(b'{"text":[' + b"0," * 500_000 + b"0]}"), "Invalid", "not what Echo declares"
        ),
        "lists of lists, and not deep": Exhibit(
            signed(b'{"text":[' + b",".join([b"[" * 190 + b"]" * 190] * 2500) + b"]}"),
            "Invalid",
            "more than 32768 values",
        ),
        "objects of objects": Exhibit(
            signed(b'{"text":[' + b",".join([b'{"":' * 190 + b"0" + b"}" * 190] * 1000) + b"]}"),
            "Invalid",
            "more than 32768 values",
        ),
        "as many values as may be, in objects": Exhibit(
            signed(b'{"text":[' + b",".join([b'{"":' * 190 + b"0" + b"}" * 190] * 170) + b"]}"),
            "Invalid",
            "not what Echo declares",
        ),
        "unknown fields": Exhibit(
            signed(b'{"text":"a"' + b"".join(b',"%x":0' % number for number in range(32_000)) + b"}"),
            "Invalid",
            "32000 faults",
        ),
        "a stream's reply of lists": Exhibit(
            frames(b'{"reply":{"text":[' + b",".join([b"[" * 190 + b"]" * 190] * 2000) + b"]}}"),
            "Invalid",
            "more than 32768 values",
            "stream",
        ),
        "a number of a million digits": Exhibit(
            signed(b'{"text":"a","number":' + b"9" * 1_000_000 + b"}"), "Invalid", "not what Echo declares"
        ),
        "a vast tensor": Exhibit(signed(grid("[1099511627776]"), FRAME), "Invalid", "not what Grid", "grid"),
        "a tensor of overflow": Exhibit(
            signed(grid("[4294967296,4294967296,4]"), FRAME), "Invalid", "not what Grid", "grid"
        ),
        "a negative tensor": Exhibit(signed(grid("[-4]"), FRAME), "Invalid", "not what Grid", "grid"),
    }


def floods() -> dict[str, Exhibit]:
    """More than anybody asked for."""
    ok = b"HTTP/1.1 200 OK\r\n"
    return {
        "1 GB that says so": Exhibit(
            pouring(head(length=GIGABYTE), lambda _: PIECE), "Invalid", "longer than"
        ),
        "1 GB in chunks": Exhibit(
            pouring(head(Transfer_Encoding="chunked"), lambda _: chunked(PIECE)), "Invalid", "longer than"
        ),
        "1 GB until it closes": Exhibit(pouring(head(), lambda _: PIECE), "Invalid", "longer than"),
        "1 GB of refusal": Exhibit(
            pouring(head(429, Transfer_Encoding="chunked"), lambda _: chunked(PIECE)),
            "Invalid",
            "longer than",
        ),
        "a stream without end": Exhibit(
            nothing_but_pieces(b'{"piece":"xxxxxxxxxxxxxxxx"}\n'), "Invalid", "stream is longer", "stream"
        ),
        "a stream of empty lines": Exhibit(nothing_but_pieces(b"\n"), "Invalid", "not JSON", "stream"),
        "a line without end": Exhibit(
            pouring(head(kind=STREAM_TYPE), lambda _: PIECE), "Invalid", "stream is longer", "stream"
        ),
        "a head without end": Exhibit(endless_headers, "Invalid", "head is longer"),
        "a header without end": Exhibit(pouring(ok + b"X: ", lambda _: PIECE), "Invalid", "head is longer"),
        "interim without end": Exhibit(
            pouring(b"", lambda _: b"HTTP/1.1 102 Processing\r\n\r\n" * 100), "Invalid", "interim"
        ),
        "trailers without end": Exhibit(
            pouring(head(Transfer_Encoding="chunked") + b"0\r\n", lambda n: b"X-%d: y\r\n" % n),
            "Invalid",
            "trailers",
        ),
        "a chunk's extension without end": Exhibit(
            pouring(head(Transfer_Encoding="chunked") + b"5;", lambda _: PIECE), "Invalid", "line without end"
        ),
    }


def lies() -> dict[str, Exhibit]:
    """Not what they say they are."""
    ok, two = b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
    long_redirect = replying(b"", status=307, Location="http://127.0.0.1:9/Echo")
    return {
        "drip": Exhibit(drip, "TimedOut"),
        "silence": Exhibit(silent, "TimedOut"),
        "drip of a head": Exhibit(dripping(ok + b"X: " + b"y" * 10_000), "TimedOut"),
        "drip of chunks": Exhibit(
            dripping(b"1\r\nx\r\n" * 2000, head(Transfer_Encoding="chunked")), "TimedOut"
        ),
        "drip of a stream": Exhibit(
            dripping(b'{"piece":"a"}\n' * 1000, head(kind=STREAM_TYPE)), "TimedOut", call="stream"
        ),
        "redirect": Exhibit(long_redirect, "Invalid", "neither an answer nor a refusal"),
        "two lengths": Exhibit(raw(ok + two), "Invalid", "framing is told twice"),
        "length and chunks": Exhibit(
            raw(ok + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "Invalid",
            "framing",
        ),
        "negative length": Exhibit(raw(ok + b"Content-Length: -5\r\n\r\n"), "Invalid", "length"),
        "negative chunk": Exhibit(raw(head(Transfer_Encoding="chunked") + b"-5\r\n"), "Invalid", "chunk"),
        "chunk longer than told": Exhibit(
            raw(head(Transfer_Encoding="chunked") + b"2\r\nhello\r\n0\r\n\r\n"),
            "Invalid",
            "longer than it says",
        ),
        "cut in the body": Exhibit(raw(head(length=500) + b"x" * 100), "Invalid", "connection broke"),
        "closed at once": Exhibit(raw(b""), "Invalid", "connection broke"),
        "reset at once": Exhibit(broken_off(b""), "Unreachable|Invalid"),
        "reset in the head": Exhibit(broken_off(ok), "Unreachable|Invalid"),
        "reset in the body": Exhibit(broken_off(head(length=500) + b"x"), "Unreachable|Invalid"),
        "reset in the stream": Exhibit(
            broken_off(head(kind=STREAM_TYPE) + b'{"piece":"a"}\n'), "Unreachable|Invalid", call="stream"
        ),
        "not HTTP": Exhibit(raw(b"220 mail.example.com ESMTP\r\n\r\n"), "Invalid", "no HTTP"),
        "HTTP/2": Exhibit(raw(b"\0\0\x12\x04\0\0\0\0\0" + b"\r\n\r\n"), "Invalid", "no HTTP"),
        "NaN": Exhibit(signed(b'{"text":"a","number":NaN}'), "Invalid", "not what Echo declares"),
        "infinity": Exhibit(signed(b'{"text":"a","number":1e999}'), "Invalid", "not what Echo declares"),
        "a signed body under another status": Exhibit(
            moved(b"201 Created"), "Invalid", "neither an answer nor a refusal"
        ),
        "a refusal that was signed as an answer": Exhibit(
            moved(b"429 Busy"), "Invalid", "without a refusal's code"
        ),
        "unsigned": Exhibit(replying(GOOD, key=None), "Invalid", "not signed"),
        "signed by another": Exhibit(replying(GOOD, key=MALLORY), "Invalid", "not signed by"),
        "a whole reply for a stream": Exhibit(replying(GOOD), "Invalid", "neither", "stream"),
        "a stream for a whole reply": Exhibit(frames({"reply": json.loads(GOOD)}), "Invalid", "not signed"),
        "JSON for a frame": Exhibit(signed(b'{"values":[1]}'), "Invalid", "not asked for", "grid"),
    }


def dripping(content: bytes, start: bytes = b"") -> Behaviour:
    """A byte every few milliseconds, for longer than any round."""

    async def behave(asked: bytes, writer: Writer) -> None:
        writer.write(start)
        for each in content:
            writer.write(bytes([each]))
            await writer.drain()
            await asyncio.sleep(0.005)
        await asyncio.sleep(20)

    return behave


def moved(status: bytes) -> Behaviour:
    """The right reply, signed for 200, under another status."""

    async def behave(asked: bytes, writer: Writer) -> None:
        signature = sign_reply(BOB, asked, 200, JSON, GOOD)
        answer = head(200, len(GOOD), X_Ranvier_Signature=signature) + GOOD
        writer.write(answer.replace(b"200 X", status, 1))
        await writer.drain()

    return behave


def gallery() -> dict[str, Exhibit]:
    """All of them by name."""
    return {**bombs(), **floods(), **lies()}
