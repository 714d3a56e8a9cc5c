"""Hostile servers and hostile addresses: whatever a peer does becomes an outcome that costs that peer alone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Dendrite,
    Door,
    Invalid,
    Limits,
    Refused,
    Reply,
    Synapse,
    Target,
    TimedOut,
    Unreachable,
    keypair_from_uri,
)
from ranvier.protocol.btauth import payload
from ranvier.protocol.keys import sign
from ranvier.protocol.replies import FrameChain, sign_reply, stream_payload
from ranvier.protocol.streams import STREAM_TYPE

ALICE, BOB, MALLORY = (keypair_from_uri(f"//{name}") for name in ("Alice", "Bob", "Mallory"))
JSON = "application/json"
SOON, LONG = 0.3, 20.0
LIMITS = Limits(max_reply=20_000)
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
    await asyncio.sleep(LONG)


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


async def cut(asked: bytes, writer: Writer) -> None:
    signature = sign_reply(BOB, asked, 200, JSON, GOOD)
    writer.write(head(length=len(GOOD), X_Ranvier_Signature=signature) + GOOD[:-2])


HOSTILE: dict[str, tuple[Behaviour, type[Any], str]] = {
    "huge declared body": (replying(b"x" * 30_000), Invalid, "longer than 20000 bytes"),
    "endless body": (endless, Invalid, "longer than 20000 bytes"),
    "huge refusal": (replying(b"x" * 5000, status=429), Invalid, "longer than 4096 bytes"),
    "endless drip": (drip, TimedOut, ""),
    "silence": (silent, TimedOut, ""),
    "endless headers": (endless_headers, Invalid, ""),
    "garbage": (raw(b"\x00\xff\x13 garbage \r\n\r\n"), Invalid, ""),
    "no bytes at all": (raw(b""), Invalid, "the connection broke"),
    "bad length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), Invalid, ""),
    "bad chunk": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Invalid, ""),
    "body of raw bytes": (replying(bytes(range(256))), Invalid, "not what Echo declares"),
    "unsigned 200": (replying(GOOD, key=None), Invalid, "not signed"),
    "signature of no hex": (replying(GOOD, key=None, X_Ranvier_Signature="0xzz"), Invalid, "not hexadecimal"),
    "short signature": (replying(GOOD, key=None, X_Ranvier_Signature="0xab"), Invalid, "not signed by"),
    "wrong signer": (replying(GOOD, key=MALLORY), Invalid, "not signed by"),
    "reply to another request": (replying(GOOD, digest=b"\x07" * 32), Invalid, "not signed by"),
    "redirect": (replying(b"", status=307, Location="http://127.0.0.1:1/Echo"), Invalid, "neither"),
    "no content": (replying(b"", status=204), Invalid, "neither"),
    "compressed": (replying(GOOD, Content_Encoding="gzip"), Invalid, "compressed"),
    "nested JSON": (replying(b"[" * 9000), Invalid, "not what Echo declares"),
    "NaN": (replying(b'{"text":"a","number":NaN}'), Invalid, "not what Echo declares"),
    "infinity": (replying(b'{"text":"a","number":1e999}'), Invalid, "not what Echo declares"),
    "lone surrogate": (replying(b'{"text":"\\ud800"}'), Invalid, "not what Echo declares"),
    "unknown field": (replying(b'{"text":"a","more":1}'), Invalid, "not what Echo declares"),
    "cut body": (cut, Invalid, "the connection broke"),
    "refusal of no JSON": (replying(b"<html>", status=500), Invalid, "without a refusal's code"),
    "refusal of nested JSON": (replying(b"[" * 4000, status=500), Invalid, "without a refusal's code"),
    "refusal that is a list": (replying(b"[1]", status=429), Invalid, "without a refusal's code"),
}


@pytest.fixture
async def dendrite() -> AsyncIterator[Dendrite]:
    async with Dendrite(ALICE, limits=LIMITS, addresses=AddressPolicy.local()) as dendrite:
        yield dendrite


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_reply_is_an_outcome(case: str, dendrite: Dendrite) -> None:
    behaviour, kind, reason = HOSTILE[case]
    async with hostile(behaviour) as target:
        deadline = SOON if kind is TimedOut else LONG
        outcome = await dendrite.ask(target, Echo(text="hello"), deadline=deadline)
        assert isinstance(outcome, kind), outcome
        if isinstance(outcome, Invalid):
            assert reason in outcome.reason
            assert len(outcome.reason) < 400


async def test_all_at_once_cost_the_honest_one_nothing(dendrite: Dendrite) -> None:
    async with contextlib.AsyncExitStack() as stack:
        targets = [
            await stack.enter_async_context(hostile(behaviour)) for behaviour, _, _ in HOSTILE.values()
        ]
        axon = await stack.enter_async_context(Axon(BOB, door=Door.open()).serve(Echo, echo))
        targets.append(Target(BOB.ss58_address, "127.0.0.1", axon.port))
        outcomes = await dendrite.ask_all([(target, Echo(text="hello")) for target in targets], deadline=5.0)
        *others, honest = outcomes
        assert [type(outcome) for outcome in others] == [kind for _, kind, _ in HOSTILE.values()]
        assert [outcome.target for outcome in outcomes] == targets
        assert isinstance(honest, Answered)
        assert honest.reply == Echo.Reply(text="hello")


@pytest.mark.parametrize(
    "wait",
    ["1" + "0" * 3900, "1e999", "-1", "NaN", "true", '"soon"', "[]", "null", "1e9"],
    ids=lambda wait: wait[:8],
)
async def test_a_wait_that_nobody_can_wait_is_none(wait: str, dendrite: Dendrite) -> None:
    body = b'{"code":"busy","retry_after":' + wait.encode() + b"}"
    async with hostile(replying(body, status=429)) as target:
        outcome = await dendrite.ask(target, Echo(text="hello"), deadline=LONG)
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.retry_after, outcome.proven) == ("busy", None, True)


@pytest.mark.parametrize("key", [None, MALLORY], ids=["unsigned", "wrong signer"])
async def test_a_refusal_that_the_peer_did_not_sign_is_not_proven(key: Any, dendrite: Dendrite) -> None:
    body = b'{"code":"busy","retry_after":2}'
    async with hostile(replying(body, status=429, key=key)) as target:
        outcome = await dendrite.ask(target, Echo(text="hello"), deadline=LONG)
        assert isinstance(outcome, Refused)
        assert (outcome.retry_after, outcome.proven) == (2.0, False)


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


def deep(levels: int) -> bytes:
    return b'{"reply":{"text":' + b"[" * levels + b"]" * levels + b"}}"


A, B, END = {"piece": "a"}, {"piece": "b"}, {"reply": {"text": "ab"}}
STREAMS: dict[str, tuple[Behaviour, str]] = {
    "forged trailer": (frames(A, END, key=MALLORY), "not signed by"),
    "trailer of no hex": (
        frames(A, END, change=lambda x: [*x[:-1], b'{"signature":"zz"}']),
        "not hexadecimal",
    ),
    "trailer that is a list": (
        frames(A, END, change=lambda x: [*x[:-1], b'{"signature":[]}']),
        "not hexadecimal",
    ),
    "reordered": (frames(A, B, END, change=lambda x: [x[1], x[0], *x[2:]]), "not signed by"),
    "one dropped": (frames(A, B, END, change=lambda x: x[1:]), "not signed by"),
    "one twice": (frames(A, B, END, change=lambda x: [x[0], *x]), "not signed by"),
    "spelled otherwise": (frames(A, END, change=lambda x: [x[0] + b" ", *x[1:]]), "not signed by"),
    "cut before the trailer": (frames(A, END, change=lambda x: x[:-1]), "cut short"),
    "cut in a line": (frames(A, END, change=lambda x: [x[0], x[1][:-3]]), "not JSON"),
    "signed before its end": (frames(A, B), "before its end"),
    "goes on after its end": (frames(END, A), "goes on"),
    "frames after the trailer": (frames(A, END, change=lambda x: [*x, x[0]]), "out of place"),
    "two replies": (frames(END, END), "goes on"),
    "reply and refusal": (frames(END, {"refusal": {"code": "busy"}}), "goes on"),
    "two keys": (frames({"piece": "a", "reply": {}}), "out of place"),
    "unknown kind": (frames({"other": 1}), "no known kind"),
    "piece of no text": (frames({"piece": 7}), "no known kind"),
    "not JSON": (frames(b"hello"), "not JSON"),
    "nested JSON": (frames(b"[" * 9000), "not JSON"),
    "nested reply": (frames(deep(900)), ""),
    "more nested reply": (frames(deep(980)), ""),
    "reply of another shape": (frames({"reply": {"text": 1}}), "not what Echo declares"),
    "NaN": (frames(b'{"reply":{"text":"a","number":NaN}}'), "not JSON"),
    "too long": (frames({"piece": "x" * 30_000}, END), "longer than 20000 bytes"),
    "endless line": (raw(head(kind=STREAM_TYPE) + b"x" * 30_000), "longer than 20000 bytes"),
    "empty": (raw(head(kind=STREAM_TYPE)), "cut short"),
    "broken chunks": (
        raw(head(kind=STREAM_TYPE, Transfer_Encoding="chunked") + b"5\r\nab"),
        "connection broke",
    ),
    "compressed": (raw(head(kind=STREAM_TYPE, Content_Encoding="gzip") + b"\x1f\x8b\x08\n"), "not JSON"),
}


async def streamed(dendrite: Dendrite, target: Target, deadline: float = LONG) -> tuple[list[str], Any]:
    items = [item async for item in dendrite.stream(target, Echo(text="hello"), deadline=deadline)]
    assert not isinstance(items[-1], str)
    return [item for item in items if isinstance(item, str)], items[-1]


@pytest.mark.parametrize("case", STREAMS)
async def test_a_hostile_stream_is_invalid(case: str, dendrite: Dendrite) -> None:
    behaviour, reason = STREAMS[case]
    async with hostile(behaviour) as target:
        _, outcome = await streamed(dendrite, target)
        assert isinstance(outcome, Invalid), outcome
        assert reason in outcome.reason


async def test_the_same_stream_unharmed_is_answered(dendrite: Dendrite) -> None:
    async with hostile(frames(A, B, END)) as target:
        pieces, outcome = await streamed(dendrite, target)
        assert (pieces, isinstance(outcome, Answered)) == (["a", "b"], True)


async def test_a_stream_that_drips_for_ever_times_out(dendrite: Dendrite) -> None:
    async def behave(asked: bytes, writer: Writer) -> None:
        writer.write(head(kind=STREAM_TYPE))
        while True:
            writer.write(b'{"piece":"a"}\n')
            await writer.drain()
            await asyncio.sleep(0.01)

    async with hostile(behave) as target:
        pieces, outcome = await streamed(dendrite, target, SOON)
        assert set(pieces) <= {"a"}
        assert isinstance(outcome, TimedOut)


async def test_a_whole_reply_to_a_stream_call_is_no_answer(dendrite: Dendrite) -> None:
    async with hostile(replying(GOOD)) as target:
        _, outcome = await streamed(dendrite, target)
        assert isinstance(outcome, Invalid)


PRIVATE = [
    "127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254", "10.0.0.1",
    "172.16.0.1", "192.168.1.1", "100.64.0.1", "fe80::1", "fe80::1%lo", "fc00::1", "2002:7f00:1::", "2002:a00:1::1",
]  # fmt: skip
NO_UNICAST = [
    "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "::127.0.0.1", "64:ff9b::7f00:1",
    "::ffff:0.0.0.0", "2002:e000:1::",
]  # fmt: skip
NO_ADDRESS = [
    "127.1", "0177.0.0.1", "127.0.0.01", "0x7f.0.0.1", "256.1.1.1", "", " 127.0.0.1", "127.0.0.1 ", "a b", "a/b",
    "user@host", "host:80", "[::1]", "a\r\nb", "ｌocalhost", "-a", "a" * 254, "１２７.0.0.1", "http://host",
    "host?x", "host#x",
]  # fmt: skip
NAMES_OF_LOOPBACK = ["2130706433", "0x7f000001", "017700000001", "0", "localhost", "LOCALHOST"]
"""Host names by their form, which systems resolve to loopback or to nothing."""


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses(host: str) -> None:
    assert AddressPolicy.public().refusal(host)
    assert AddressPolicy.local().refusal(host) is None


@pytest.mark.parametrize("host", NO_UNICAST + NO_ADDRESS)
def test_what_no_policy_calls(host: str) -> None:
    assert AddressPolicy.public().refusal(host)
    assert AddressPolicy.local().refusal(host)


@pytest.mark.parametrize("host", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "example.com", "a.b-c.d1"])
def test_public_forms(host: str) -> None:
    assert AddressPolicy.public().refusal(host) is None


@pytest.mark.parametrize("host", [*PRIVATE, *NO_UNICAST, *NO_ADDRESS, *NAMES_OF_LOOPBACK], ids=ascii)
async def test_a_public_dendrite_connects_to_none_of_them(host: str) -> None:
    connected: list[str] = []

    async def behave(asked: bytes, writer: Writer) -> None:
        connected.append(host)

    async with hostile(behave) as target, Dendrite(ALICE) as dendrite:
        outcome = await dendrite.ask(
            Target(target.hotkey, host, target.port), Echo(text="hello"), deadline=LONG
        )
        assert isinstance(outcome, Unreachable)
        assert connected == []


async def test_a_name_that_leads_to_loopback_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        found = ["127.0.0.1", "::1", "10.0.0.1", "::ffff:169.254.169.254"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with hostile(raw(b"")) as target, Dendrite(ALICE) as dendrite:
        outcome = await dendrite.ask(
            Target(target.hotkey, "miner.example.com", target.port), Echo(text="hello"), deadline=LONG
        )
        assert isinstance(outcome, Unreachable)
        assert re.search("no address that may be called", outcome.reason)


@pytest.mark.parametrize("port", [0, -1, 65536, 10**12])
async def test_ports_that_are_none(port: int, dendrite: Dendrite) -> None:
    outcome = await dendrite.ask(
        Target(BOB.ss58_address, "127.0.0.1", port), Echo(text="hello"), deadline=LONG
    )
    assert isinstance(outcome, Unreachable)
