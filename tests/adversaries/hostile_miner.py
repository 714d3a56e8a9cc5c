"""Miners that do what no miner should: raw servers that claim to be Bob, and what they answer with."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from ranvier.protocol import Caller, Reply, Synapse, Target, keypair_from_uri
from ranvier.protocol.btauth import payload
from ranvier.protocol.keys import sign
from ranvier.protocol.replies import FrameChain, sign_reply, stream_payload
from ranvier.protocol.streams import STREAM_TYPE

ALICE, BOB, MALLORY = (keypair_from_uri(f"//{name}") for name in ("Alice", "Bob", "Mallory"))
JSON = "application/json"
GOOD = b'{"text":"hello"}'


class Echo(Synapse):
    text: str

    class Reply(Reply):
        text: str
        number: float = 0.0


async def echo(request: Echo, caller: Caller) -> Echo.Reply:
    return Echo.Reply(text=request.text)


Writer = asyncio.StreamWriter
Behaviour = Callable[[bytes, Writer], Awaitable[None]]
"""Gets the digest of the request that came."""


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *lines = head.split("\r\n")
    method, path, _ = line.split()
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    nonce, sender = int(headers["x-bittensor-nonce"]), headers["x-bittensor-hotkey"]
    message = payload(method, path, body, nonce, sender, headers["x-bittensor-receiver"])
    return hashlib.sha256(message).digest()


@contextlib.asynccontextmanager
async def hostile(behaviour: Behaviour) -> AsyncIterator[Target]:
    """A raw server that claims to be Bob."""

    async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await behaviour(await read_request(reader), writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Target(BOB.ss58_address, "127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()


def head(status: int = 200, length: int | None = None, kind: str = JSON, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Connection: close"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def replying(
    body: bytes, *, status: int = 200, key: Any = BOB, digest: bytes | None = None, **more: str
) -> Behaviour:
    """A whole response, signed by ``key`` (None: unsigned) for the request or for another ``digest``."""

    async def behave(asked: bytes, writer: Writer) -> None:
        headers = dict(more)
        if key is not None:
            headers["X_Ranvier_Signature"] = sign_reply(key, digest or asked, status, JSON, body)
        writer.write(head(status, len(body), **headers) + body)
        await writer.drain()

    return behave


def raw(content: bytes) -> Behaviour:
    async def behave(asked: bytes, writer: Writer) -> None:
        writer.write(content)
        await writer.drain()

    return behave


async def silent(asked: bytes, writer: Writer) -> None:
    await asyncio.sleep(20)


async def endless(asked: bytes, writer: Writer) -> None:
    writer.write(head())
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def drip(asked: bytes, writer: Writer) -> None:
    writer.write(head(length=10_000))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def endless_headers(asked: bytes, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for n in range(10_000_000):
        writer.write(b"X-%d: y\r\n" % n)
        await writer.drain()


def frames(*contents: Any, key: Any = BOB, change: Callable[[list[bytes]], list[bytes]] = list) -> Behaviour:
    """A stream with an honest trailer over ``contents``; ``change`` is what the wire makes of its lines."""

    async def behave(asked: bytes, writer: Writer) -> None:
        chain = FrameChain(asked)
        lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in contents]
        for line in lines:
            chain.add(line)
        trailer = "0x" + sign(key, stream_payload(asked, key.ss58_address, chain.value)).hex()
        lines = change([*lines, json.dumps({"signature": trailer}).encode()])
        writer.write(head(kind=STREAM_TYPE) + b"".join(line + b"\n" for line in lines))
        await writer.drain()

    return behave
