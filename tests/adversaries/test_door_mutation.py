"""Every byte that is signed, changed once on its way: whatever stands between a caller and an axon is found out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hostile_caller import ALICE, BOB, EVE, PATH, Line, Sent, send_once

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Dendrite,
    Door,
    Invalid,
    Limits,
    Refusal,
    Refused,
    Reply,
    Synapse,
    Target,
)
from ranvier.protocol.codes import Code
from ranvier.protocol.prekeys import PrekeyRing
from ranvier.protocol.replies import sign_reply

LIMITS = Limits(rate=1e9, burst=10**9)
SIGNED = b'{"text":"hello, world"}'
LONG = 20.0


class Echo(Synapse):
    text: str

    class Reply(Reply):
        text: str


@dataclass
class Bob:
    """A miner who spells what he was asked, and remembers it."""

    heard: list[str] = field(default_factory=list)

    async def __call__(self, request: Echo, caller: Caller) -> AsyncIterator[str | Echo.Reply]:
        self.heard.append(request.text)
        if request.text == "no":
            raise Refusal(Code.DECLINED, "not this one", retry_after=7.0)
        for letter in request.text[:3]:
            yield letter
        yield Echo.Reply(text=request.text)


@contextlib.asynccontextmanager
async def miner(**options: Any) -> AsyncIterator[tuple[Axon, Bob]]:
    bob = Bob()
    axon = Axon(BOB, door=Door.open(), limits=LIMITS, **options).serve(Echo, bob.__call__)
    async with axon:
        yield axon, bob


def other(letter: str) -> str:
    """Another character of the same alphabet, as far as it has one."""
    for alphabet in ("0123456789", "abcdef", "ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnopqrstuvwxyz"):
        if letter in alphabet:
            return alphabet[(alphabet.index(letter) + 1) % len(alphabet)]
    return chr(ord(letter) ^ 1)


def each_changed(text: str) -> Iterator[str]:
    """``text`` with one character changed, for each of its characters."""
    for place, letter in enumerate(text):
        yield text[:place] + other(letter) + text[place + 1 :]


def requests(now: int) -> Iterator[tuple[Sent, set[str]]]:
    """Each byte of what is signed changed once, and the codes that it may be refused with."""
    sent = Sent.signed(body=SIGNED, nonce=now)
    for method in (*each_changed(sent.method), "GET", "PUT", "post"):
        yield replace(sent, method=method), {"malformed", "bad-signature"}
    for path in each_changed(sent.path):
        yield replace(sent, path=path), {"malformed"} if path[0] != "/" else {"bad-signature"}
    for place in range(len(sent.body)):
        changed = bytearray(sent.body)
        changed[place] ^= 1
        yield replace(sent, body=bytes(changed)), {"bad-signature"}
    for body in (sent.body[:-1], sent.body + b" ", b""):
        yield replace(sent, body=body), {"bad-signature"}
    wanted = {
        "Version": {"malformed"}, "Hotkey": {"malformed"}, "Receiver": {"wrong-receiver"},
        "Nonce": {"bad-signature", "stale"}, "Signature": {"bad-signature"},
    }  # fmt: skip
    for name, codes in wanted.items():
        header = f"X-Bittensor-{name}"
        for value in each_changed(sent.headers[header]):
            shaped = name != "Signature" or value.startswith("0x")
            yield sent.with_header(header, value), codes if shaped else {"malformed"}
        without = {key: value for key, value in sent.headers.items() if key != header}
        yield replace(sent, headers=without), {"malformed", "wrong-receiver"}
    for key in (EVE, BOB):
        yield sent.with_header("X-Bittensor-Hotkey", key.ss58_address), {"bad-signature"}
    yield sent.with_header("X-Bittensor-Crypto", "ed25519"), {"malformed"}
    yield sent.with_header("Content-Encoding", "identity"), {"malformed"}


async def test_each_signed_byte_of_a_request() -> None:
    now = time.time_ns()
    async with miner(now=lambda: now) as (axon, bob):
        count = 0
        line = Line(axon.port)
        for sent, codes in requests(now):
            got = await line.send(sent.raw())
            assert got.code in codes, (sent, got)
            count += 1
        await line.close()
        assert (count > 290, bob.heard, len(axon._service._replay)) == (True, [], 0)
        # The same request, untouched, is answered.
        assert (await send_once(axon.port, Sent.signed(body=SIGNED, nonce=now).raw())).status == 200
        assert bob.heard == ["hello, world"]


@dataclass
class Answer:
    """What the axon sent, its body out of its chunks."""

    status: int
    headers: dict[str, str]
    body: bytes

    def raw(self) -> bytes:
        head = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in self.headers.items())]
        return "\r\n".join([*head, f"Content-Length: {len(self.body)}", "", ""]).encode() + self.body

    def with_header(self, name: str, value: str | None) -> Answer:
        kept = {key: was for key, was in self.headers.items() if key != name}
        return replace(self, headers=kept | ({name: value} if value is not None else {}))


Change = Callable[[Answer], Answer]


async def _read(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (each.partition(":") for each in lines if each)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if headers.pop("transfer-encoding", "") != "chunked":
        return line, headers, await reader.readexactly(int(headers.pop("content-length", 0)))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return line, headers, body


@dataclass
class Relay:
    """Somebody on the way to an axon, who changes what he likes."""

    port: int
    """Of the axon."""
    target: Target = field(init=False)
    change: Change = field(default=lambda answer: answer)
    prekey: Change = field(default=lambda answer: answer)
    seen: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            line, headers, body = await _read(reader)
            self.seen.append(body)
            there, out = await asyncio.open_connection("127.0.0.1", self.port)
            lines = [line, *(f"{name}: {value}" for name, value in headers.items() if name != "connection")]
            out.write("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
            status, given, content = await _read(there)
            out.close()
            given.pop("connection", None)
            answer = Answer(int(status.split()[1]), given | {"connection": "close"}, content)
            writer.write((self.prekey if line.startswith("GET") else self.change)(answer).raw())
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def relayed(*, seal: bool = False, **options: Any) -> AsyncIterator[tuple[Relay, Dendrite, Bob]]:
    async with miner(**options) as (axon, bob):
        relay = Relay(axon.port)
        server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
        relay.target = Target(BOB.ss58_address, "127.0.0.1", server.sockets[0].getsockname()[1])
        async with Dendrite(ALICE, limits=LIMITS, addresses=AddressPolicy.local(), seal=seal) as dendrite:
            yield relay, dendrite, bob
        server.close()


async def ask(relay: Relay, dendrite: Dendrite, text: str = "hello", *, streams: bool = False) -> Any:
    if not streams:
        return await dendrite.ask(relay.target, Echo(text=text), deadline=LONG)
    items = [item async for item in dendrite.stream(relay.target, Echo(text=text), deadline=LONG)]
    return items[-1]


@pytest.fixture(params=[False, True], ids=["clear", "sealed"])
def seal(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def streams(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def flipped(place: int) -> Change:
    def change(answer: Answer) -> Answer:
        body = bytearray(answer.body)
        body[place] ^= 1
        return replace(answer, body=bytes(body))

    return change


async def honest(relay: Relay, dendrite: Dendrite, *, streams: bool) -> Answer:
    """What an unchanged answer is; the relay itself harms nothing."""
    kept: list[Answer] = []

    def keep(answer: Answer) -> Answer:
        kept.append(answer)
        return answer

    relay.change = keep
    outcome = await ask(relay, dendrite, streams=streams)
    assert isinstance(outcome, Answered), outcome
    assert (outcome.reply.text, outcome.proven) == ("hello", True)
    return kept[-1]


async def test_each_byte_of_an_answer(seal: bool, streams: bool) -> None:
    async with relayed(seal=seal) as (relay, dendrite, _):
        body = (await honest(relay, dendrite, streams=streams)).body
        for place in range(len(body)):
            relay.change = flipped(place)
            outcome = await ask(relay, dendrite, streams=streams)
            assert isinstance(outcome, Invalid), (place, body, outcome)


async def test_each_cut_of_an_answer(seal: bool, streams: bool) -> None:
    """The relay frames what is left as if it were all."""
    async with relayed(seal=seal) as (relay, dendrite, _):
        body = (await honest(relay, dendrite, streams=streams)).body
        for length in range(0, len(body), 1 if len(body) < 100 else 7):
            relay.change = lambda answer, length=length: replace(answer, body=answer.body[:length])
            outcome = await ask(relay, dendrite, streams=streams)
            assert isinstance(outcome, Invalid), (length, outcome)


async def test_each_digit_of_a_reply_signature_and_all_of_it(seal: bool) -> None:
    name = "x-ranvier-signature"
    async with relayed(seal=seal) as (relay, dendrite, _):
        signature = (await honest(relay, dendrite, streams=False)).headers[name]

        def at(place: int) -> Change:
            def change(answer: Answer) -> Answer:
                value = answer.headers[name]
                return answer.with_header(name, value[:place] + other(value[place]) + value[place + 1 :])

            return change

        changes = [at(place) for place in range(2, len(signature))]
        changes += [
            lambda answer: answer.with_header(name, None),
            lambda answer: answer.with_header(name, ""),
            lambda answer: answer.with_header(name, "0x" + "00" * 64),
            lambda answer: answer.with_header(name, signature),  # a true one, of another answer
            lambda answer: answer.with_header(
                name, sign_reply(EVE, b"\0" * 32, 200, "application/json", answer.body)
            ),
        ]
        for place, relay.change in enumerate(changes):
            outcome = await ask(relay, dendrite)
            assert isinstance(outcome, Invalid), (place, outcome)


STRIPPED: dict[str, Change] = {
    "content type in clear": lambda one: one.with_header("content-type", "application/json"),
    "content type of a frame": lambda one: one.with_header("content-type", "application/x-ranvier-frame"),
    "content type of a stream": lambda one: one.with_header("content-type", "application/x-ranvier-stream"),
    "content type packed": lambda one: one.with_header("content-type", "application/json+zlib"),
    "no content type": lambda one: one.with_header("content-type", None),
    "status of a job": lambda one: replace(one, status=202),
    "status of a success": lambda one: replace(one, status=201),
    "status of a redirect": lambda one: replace(one, status=307).with_header(
        "location", "http://127.0.0.1:1/"
    ),
    "compressed by a header": lambda one: one.with_header("content-encoding", "identity"),
    "in clear": lambda one: replace(
        one.with_header("content-type", "application/json"), body=b'{"text":"forged"}'
    ),
    "as 10.x answers": lambda one: Answer(
        200,
        {"content-type": "application/json", "bt_header_axon_status_code": "200", "name": "Echo"},
        b'{"text":"hello","name":"Echo"}',
    ),
}


@pytest.mark.parametrize("way", STRIPPED)
async def test_what_is_stripped_or_offered_instead(way: str, seal: bool, streams: bool) -> None:
    own = {"content type in clear": (False, False), "content type of a stream": (False, True)}
    async with relayed(seal=seal) as (relay, dendrite, _):
        relay.change = STRIPPED[way]
        outcome = await ask(relay, dendrite, streams=streams)
        assert isinstance(outcome, Answered if own.get(way) == (seal, streams) else Invalid), outcome


def lines_changed(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    return lambda one: replace(
        one, body=b"".join(line + b"\n" for line in change(one.body.split(b"\n")[:-1]))
    )


TRAILERS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "removed": lambda lines: lines[:-1],
    "twice": lambda lines: [*lines, lines[-1]],
    "alone": lambda lines: lines[-1:],
    "too early": lambda lines: [*lines[:-2], lines[-1], lines[-2]],
    "after a piece less": lambda lines: lines[1:],
    "after a piece twice": lambda lines: [lines[0], *lines],
    "after pieces in another order": lambda lines: [lines[1], lines[0], *lines[2:]],
    "without the reply": lambda lines: [*lines[:-2], lines[-1]],
    "an empty line more": lambda lines: [b"", *lines],
    "nothing at all": lambda lines: [],
}


@pytest.mark.parametrize("way", TRAILERS)
async def test_a_stream_whose_lines_are_removed_or_moved(way: str, seal: bool) -> None:
    async with relayed(seal=seal) as (relay, dendrite, _):
        relay.change = lines_changed(TRAILERS[way])
        outcome = await ask(relay, dendrite, streams=True)
        assert isinstance(outcome, Invalid), outcome


async def test_an_answer_to_one_request_is_none_to_the_next(seal: bool, streams: bool) -> None:
    async with relayed(seal=seal) as (relay, dendrite, _):
        before = await honest(relay, dendrite, streams=streams)
        relay.change = lambda answer: before
        assert isinstance(await ask(relay, dendrite, streams=streams), Invalid)


async def test_a_refusal_that_is_changed_is_proven_by_nobody(seal: bool) -> None:
    async with relayed(seal=seal) as (relay, dendrite, _):
        outcome = await ask(relay, dendrite, "no")
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.retry_after, outcome.proven) == ("declined", 7.0, True)
        kept: list[Answer] = []
        relay.change = lambda answer: kept.append(answer) or answer  # type: ignore[func-returns-value]
        await ask(relay, dendrite, "no")
        for place in range(len(kept[0].body)):
            relay.change = flipped(place)
            outcome = await ask(relay, dendrite, "no")
            assert isinstance(outcome, Invalid) or (isinstance(outcome, Refused) and not outcome.proven)
        for status in (400, 404, 429, 500):
            relay.change = lambda answer, status=status: replace(answer, status=status)
            outcome = await ask(relay, dendrite, "no")
            assert isinstance(outcome, Invalid) or not outcome.proven


async def test_encryption_cannot_be_talked_away() -> None:
    """Whatever is done to the prekey, the request is not sent in clear: nothing is asked at all."""
    mallory = PrekeyRing(EVE, now=time.time_ns)
    async with relayed() as (relay, _, bob):
        document = await send_once(relay.port, Sent({}, "/-/prekey", b"", "GET").raw())
        published = json.loads(document.body)
        forged: dict[str, Change] = {
            "none": lambda one: Answer(404, {}, b'{"code":"unknown-synapse","detail":""}'),
            "refused": lambda one: Answer(409, {}, b'{"code":"unknown-prekey","detail":""}'),
            "empty": lambda one: replace(one, body=b""),
            "another's": lambda one: replace(one, body=mallory.current().to_json()),
            "another's under this name": lambda one: replace(
                one,
                body=json.dumps(
                    json.loads(mallory.current().to_json()) | {"hotkey": BOB.ss58_address}
                ).encode(),
            ),
            "another point": lambda one: replace(
                one, body=json.dumps(published | {"public": published["public"][::-1]}).encode()
            ),
        }
        forged |= {f"byte {place}": flipped(place) for place in range(len(document.body))}
        for way, relay.prekey in forged.items():
            async with Dendrite(ALICE, limits=LIMITS, addresses=AddressPolicy.local(), seal=True) as dendrite:
                relay.seen.clear()
                outcome = await ask(relay, dendrite, "a secret")
                assert isinstance(outcome, Invalid | Refused), (way, outcome)
                assert not getattr(outcome, "proven", False)
                assert not any(b"secret" in each for each in relay.seen)
        assert bob.heard == []


async def test_our_requests_are_worth_nothing_on_the_older_wire() -> None:
    """A relay that dresses a request of ours as one of 10.x has a signature that holds for nothing there."""
    async with miner(legacy=True) as (axon, bob):
        sent = Sent.signed(body=SIGNED)
        headers = {
            "bt_header_dendrite_hotkey": ALICE.ss58_address,
            "bt_header_dendrite_nonce": sent.headers["X-Bittensor-Nonce"],
            "bt_header_dendrite_uuid": "a-b-1",
            "bt_header_dendrite_signature": sent.headers["X-Bittensor-Signature"],
            "bt_header_dendrite_version": "10005000",
            "bt_header_axon_hotkey": BOB.ss58_address,
            "computed_body_hash": "0" * 64,
        }
        got = await send_once(axon.port, Sent(headers, "/Echo", SIGNED).raw())
        assert got.code == "bad-signature"
        both = replace(sent, headers=sent.headers | headers, path="/Echo")
        assert (await send_once(axon.port, both.raw())).code == "bad-signature"
        assert bob.heard == []
        assert (await send_once(axon.port, replace(sent, path=PATH).raw())).status == 200
