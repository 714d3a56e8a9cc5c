"""Streams of the 10.x wire: what an axon of ours sends and breaks off, what a dendrite of ours believes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from legacy_peers import ALICE, BOB, MALLORY, Chat, target

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Code,
    Dendrite,
    Door,
    Invalid,
    Limits,
    Refusal,
    Refused,
    Reply,
    Synapse,
    TimedOut,
    Unreachable,
)
from ranvier.protocol.legacy.client import legacy_request
from ranvier.protocol.legacy.dendrite import SynapseUnfit


async def words(request: Chat, caller: Caller) -> AsyncIterator[Any]:
    """Says who asked, in pieces."""
    yield "grüße an "
    yield caller.hotkey
    yield Chat.Reply(completion=f"grüße an {caller.hotkey}")


@contextlib.asynccontextmanager
async def serving(handler: Any, **options: Any) -> AsyncIterator[Axon]:
    async with Axon(BOB, door=Door.open(), legacy=True, **options).serve(Chat, handler) as axon:
        yield axon


@contextlib.asynccontextmanager
async def asked(
    axon: Axon, said: str = "hello", timeout: str = "5.0", **changes: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """What a 10.x client sends; ``changes`` are made to its body afterwards."""
    headers, body = legacy_request(ALICE, target(axon.port), Chat(prompt=said), 5.0, time.time_ns())
    content = {**json.loads(body), **changes}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"http://127.0.0.1:{axon.port}/Chat", headers={**headers, "timeout": timeout}, json=content
        ) as response,
    ):
        yield response


@contextlib.asynccontextmanager
async def local(**options: Any) -> AsyncIterator[Dendrite]:
    async with Dendrite(ALICE, addresses=AddressPolicy.local(), **options) as dendrite:
        yield dendrite


async def settled(axon: Axon, ending: str) -> None:
    async with asyncio.timeout(5):
        while not axon.stats[ending] or axon.gate.running:
            await asyncio.sleep(0.01)
    assert axon.stats.total() == 1


async def test_one_class_streams_on_both_wires() -> None:
    async with serving(words) as axon, local() as dendrite:
        new = [item async for item in dendrite.stream(target(axon.port), Chat(prompt="a"), deadline=5.0)]
        old = [
            item async for item in dendrite.stream_legacy(target(axon.port), Chat(prompt="a"), deadline=5.0)
        ]
    said = f"grüße an {ALICE.ss58_address}"
    for found, proven in ((new, True), (old, False)):
        *pieces, outcome = found
        assert isinstance(outcome, Answered), outcome
        assert ("".join(pieces), outcome.reply.completion, outcome.proven) == (said, said, proven)


async def test_pieces_come_as_they_are_made() -> None:
    go_on = asyncio.Event()

    async def waits(request: Chat, caller: Caller) -> AsyncIterator[Any]:
        yield "first"
        await go_on.wait()
        yield "second"
        yield Chat.Reply(completion="firstsecond")

    async with serving(waits) as axon, local() as dendrite:
        stream = dendrite.stream_legacy(target(axon.port), Chat(prompt="a"), deadline=5.0)
        assert await anext(stream) == "first"
        go_on.set()
        assert [item async for item in stream][:-1] == ["second"]


async def test_a_generator_that_blocks_streams_too() -> None:
    def blocks(request: Chat, caller: Caller) -> Iterator[Any]:
        yield from ("a", "b")
        yield Chat.Reply(completion="ab")

    async with serving(blocks) as axon, asked(axon) as response:
        assert await response.text() == "ab"


async def test_the_head_says_what_10x_clients_read() -> None:
    async with serving(words) as axon, asked(axon) as response:
        await response.read()
        assert response.content_type == "text/event-stream"
        assert response.headers["bt_header_axon_status_code"] == "200"
        assert response.headers["bt_header_axon_hotkey"] == BOB.ss58_address
        assert response.headers["bt_header_dendrite_hotkey"] == ALICE.ss58_address
        assert not [name for name in response.headers if "signature" in name.lower()]
        await settled(axon, "answered")


async def test_a_reply_without_pieces_is_answered_as_any_other() -> None:
    async def silent(request: Chat, caller: Caller) -> AsyncIterator[Any]:
        yield ""
        yield Chat.Reply(completion="whole")

    async with serving(silent) as axon, local() as dendrite:
        async with asked(axon) as response:
            assert (await response.json())["completion"] == "whole"
        found = [
            item async for item in dendrite.stream_legacy(target(axon.port), Chat(prompt="a"), deadline=5.0)
        ]
    assert [type(item) for item in found] == [Answered]
    assert found[0].reply.completion == "whole"


async def test_a_refusal_before_the_first_piece_has_its_status() -> None:
    async def declines(request: Chat, caller: Caller) -> AsyncIterator[Any]:
        raise Refusal(Code.DECLINED, "no\r\nbt_header_axon_status_code: 200\r\n\r\n€")
        yield

    async with serving(declines) as axon, asked(axon) as response:
        assert response.status == int(response.headers["bt_header_axon_status_code"]) == 409
        said = "declined: no??bt_header_axon_status_code: 200?????"
        assert response.headers["bt_header_axon_status_message"] == said
        assert (await response.json())["message"].endswith("€")
        await settled(axon, "declined")


async def fails(request: Chat, caller: Caller) -> AsyncIterator[Any]:
    """Breaks after a piece, in one of the ways there are."""
    yield "begun"
    if request.prompt == "raise":
        raise RuntimeError
    if request.prompt == "refuse":
        raise Refusal(Code.BUSY, "later")
    if request.prompt == "hang":
        await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("how", "ending"), [("raise", "failed"), ("refuse", "busy"), ("hang", "deadline"), ("no reply", "failed")]
)
async def test_a_stream_that_fails_is_never_ended(how: str, ending: str) -> None:
    """Its caller has the text so far, and HTTP says that something is missing."""
    async with serving(fails) as axon:
        async with asked(axon, how, timeout="0.3") as response:
            assert await response.content.readany() == b"begun"
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()
        await settled(axon, ending)
    async with serving(fails, limits=Limits(max_deadline=0.3)) as axon, local() as dendrite:
        found = [
            item async for item in dendrite.stream_legacy(target(axon.port), Chat(prompt=how), deadline=5.0)
        ]
    assert found[0] == "begun"
    assert isinstance(found[1], Invalid)
    assert found[1].partial == "begun"


@pytest.mark.parametrize("reads", [True, False])
async def test_a_caller_that_leaves_or_never_reads_ends_its_handler(reads: bool) -> None:
    ended = asyncio.Event()

    async def endless(request: Chat, caller: Caller) -> AsyncIterator[Any]:
        try:
            while True:
                yield "x" * 65_536
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with serving(endless) as axon:
        headers, body = legacy_request(ALICE, target(axon.port), Chat(prompt="a"), 5.0, time.time_ns())
        headers["timeout"] = "0.5"
        _, writer = await asyncio.open_connection("127.0.0.1", axon.port, limit=1024)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(
            f"POST /Chat HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body
        )
        if reads:
            await asyncio.sleep(0.05)
            writer.transport.abort()
        async with asyncio.timeout(5):
            await ended.wait()
            await axon.gate.idle()
        writer.transport.abort()


async def test_nothing_unproven_streams() -> None:
    """The holes of the original, on this path too."""
    async with serving(words) as axon:
        async with asked(axon, dendrite={"hotkey": MALLORY.ss58_address}) as response:
            assert await response.text() == f"grüße an {ALICE.ss58_address}"
        async with asked(axon, prompt="changed") as response:
            assert response.status == 401
        headers, body = legacy_request(ALICE, target(axon.port), Chat(prompt="a"), 5.0, time.time_ns())
        statuses = []
        async with aiohttp.ClientSession() as session:
            for wait in ("5.0", "1000000"):
                url = f"http://127.0.0.1:{axon.port}/Chat"
                async with session.post(url, headers={**headers, "timeout": wait}, data=body) as response:
                    statuses.append(response.status)
    assert statuses == [200, 401]


@contextlib.asynccontextmanager
async def hostile(head: str, *parts: bytes, end: bool = True) -> AsyncIterator[int]:
    """An axon that answers with these bytes, whatever it is asked; its port."""

    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
            await asyncio.sleep(0 if end else 30)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
        await asyncio.sleep(0)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


HEAD = "HTTP/1.1 200 OK\nContent-Type: text/event-stream\nTransfer-Encoding: chunked"
LAST = b"0\r\n\r\n"
HOSTILE: dict[str, tuple[Any, ...]] = {
    # the head, what follows it, the outcome, its reason, the text that was kept
    "an impostor": (f"{HEAD}\nbt_header_axon_status_code: 200", (chunk(b"hi"), LAST), Answered, "", ""),
    "cut": (HEAD, (chunk(b"hi"),), Invalid, "the connection broke", "hi"),
    "cut in a chunk": (HEAD, (b"9\r\nhi",), Invalid, "the connection broke", "hi"),
    "too long": (HEAD, (chunk(b"x" * 900), chunk(b"y" * 900), LAST), Invalid, "longer than 1000", "x" * 900),
    "endless": (HEAD, (chunk(b"x" * 64),) * 10_000, Invalid, "longer than 1000", "x" * 960),
    "not text": (HEAD, (chunk(b"hi"), chunk(b"\xff"), LAST), Invalid, "not UTF-8", "hi"),
    "half a letter": (HEAD, (chunk("hi€".encode()[:-1]), LAST), Invalid, "not UTF-8", "hi"),
    "no framing": (
        "HTTP/1.0 200 OK\nContent-Type: text/event-stream", (b"hi",), Invalid, "end cannot be told", "",
    ),
    "a bomb": (f"{HEAD}\nContent-Encoding: gzip", (chunk(b"hi"), LAST), Invalid, "compressed", ""),
    "an error in it": (f"{HEAD}\nbt_header_axon_status_code: 403", (chunk(b"hi"), LAST), Invalid, "without JSON", ""),
    "a redirect": (
        "HTTP/1.1 302 Found\nLocation: http://169.254.169.254/\nContent-Length: 2", (b"{}",), Refused, "", "",
    ),
    "silence": (HEAD, (chunk(b"hi"),), TimedOut, "", "hi"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_axon_costs_only_its_own_request(case: str) -> None:
    head, parts, kind, reason, kept = HOSTILE[case]
    async with (
        hostile(head, *parts, end=case != "silence") as port,
        local(limits=Limits(max_reply=1000)) as asks,
    ):
        deadline = 1.0 if case == "silence" else 10.0
        *pieces, outcome = [
            item async for item in asks.stream_legacy(target(port), Chat(prompt="a"), deadline=deadline)
        ]
    assert isinstance(outcome, kind), outcome
    assert reason in getattr(outcome, "reason", "")
    assert getattr(outcome, "partial", "") == kept
    assert "".join(pieces) == (kept or getattr(getattr(outcome, "reply", None), "completion", ""))
    assert not getattr(outcome, "proven", False)


async def test_a_reader_that_stops_ends_the_request() -> None:
    left = asyncio.Event()

    async def endless(request: Chat, caller: Caller) -> AsyncIterator[Any]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0.01)
        finally:
            left.set()

    async with serving(endless) as axon, local() as dendrite:
        stream = dendrite.stream_legacy(target(axon.port), Chat(prompt="a"), deadline=30.0)
        assert await anext(stream) == "x"
        await stream.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            await left.wait()


async def test_addresses_are_guarded_on_this_path_too() -> None:
    async with Dendrite(ALICE) as dendrite:
        stream = dendrite.stream_legacy(target(1), Chat(prompt="a"), deadline=5.0)
        assert [type(item) async for item in stream] == [Unreachable]


class Two(Synapse):
    """Text alone does not make its reply."""

    class Reply(Reply):
        text: str
        tokens: int


class Number(Synapse):
    """Nor this one's."""

    class Reply(Reply):
        tokens: int


class Defaults(Synapse):
    """But this one's."""

    class Reply(Reply):
        text: str
        tokens: int = 0


async def test_a_synapse_that_no_text_can_answer_is_its_author_s_error() -> None:
    async with local() as dendrite:
        for unfit in (Two(), Number()):
            with pytest.raises(SynapseUnfit, match="exactly one required field"):
                dendrite.stream_legacy(target(1), unfit, deadline=5.0)
        async with hostile(HEAD, chunk(b"hi"), LAST) as port:
            found = [item async for item in dendrite.stream_legacy(target(port), Defaults(), deadline=5.0)]
    assert found[-1].reply == Defaults.Reply(text="hi")
