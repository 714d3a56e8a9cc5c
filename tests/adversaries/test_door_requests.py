"""Hostile requests at an axon: each is refused with its code, runs no handler, is never a 5xx, and leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.protocol import (
    Axon,
    Caller,
    Door,
    Limits,
    Refusal,
    ReplayGuard,
    Reply,
    Standing,
    Synapse,
    keypair_from_uri,
)
from ranvier.protocol.btauth import (
    CRYPTO_HEADER,
    HOTKEY_HEADER,
    NONCE_HEADER,
    RECEIVER_HEADER,
    SIGNATURE_HEADER,
    VERSION_HEADER,
    prove,
    read_claim,
    sign_request,
)
from ranvier.protocol.errors import ReplayStateUnusable
from ranvier.protocol.replies import REPLY_SIGNATURE, check_reply

ALICE, BOB, MALLORY = (keypair_from_uri(f"//{name}") for name in ("Alice", "Bob", "Mallory"))
MINER = BOB.ss58_address
PATH = "/Echo?deadline=5000"
BODY = b'{"text":"hello"}'


class Echo(Synapse):
    text: str

    class Reply(Reply):
        text: str


@dataclass
class Heard:
    """What the handler was called with."""

    texts: list[str] = field(default_factory=list)

    async def __call__(self, request: Echo, caller: Caller) -> Echo.Reply:
        self.texts.append(request.text)
        return Echo.Reply(text=request.text)


@dataclass(frozen=True)
class Sent:
    """A request as it goes onto the wire."""

    headers: dict[str, str]
    path: str = PATH
    body: bytes = BODY
    method: str = "POST"

    def raw(self, *more: str) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: miner", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()] + [*more, "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


@dataclass(frozen=True)
class Got:
    """A response; ``status`` 0 where the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


def signed(
    *, path: str = PATH, body: bytes = BODY, receiver: str = MINER, nonce: int = 0, method: str = "POST"
) -> Sent:
    headers, _ = sign_request(ALICE, method, path, body, receiver, nonce or time.time_ns())
    return Sent(headers, path, body, method)


async def exchange(port: int, raw: bytes, *, end: bool = False) -> Got:
    """Send raw bytes and read one response, or whatever came before the connection closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            if end:
                writer.write_eof()
        return await response_of(reader)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def response_of(reader: asyncio.StreamReader) -> Got:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Got(0, {}, b"")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Got(int(status.split()[1]), headers, body)


@contextlib.asynccontextmanager
async def miner(**options: Any) -> AsyncIterator[tuple[Axon, Heard]]:
    heard = Heard()
    options.setdefault("door", Door.open())
    options.setdefault("replay", ReplayGuard())  # some requests are older than the axon
    axon = Axon(options.pop("key", BOB), **options).serve(Echo, heard.__call__)
    async with axon:
        yield axon, heard


async def refused(request: Sent, code: str, **options: Any) -> Got:
    """The request is refused with the code, unheard; only callers that proved themselves get a signature."""
    async with miner(**options) as (axon, heard):
        got = await exchange(axon.port, request.raw())
        assert (got.code, heard.texts) == (code, [])
        assert axon.stats == {code: 1}
        return got


def having(**changes: str) -> Sent:
    sent = signed()
    return replace(
        sent, headers=sent.headers | {name.replace("_", "-"): value for name, value in changes.items()}
    )


def lacking(name: str) -> Sent:
    sent = signed()
    return replace(sent, headers={key: value for key, value in sent.headers.items() if key != name})


UNPROVEN: dict[str, tuple[Callable[[], Sent], str, int]] = {
    "no headers": (lambda: Sent({}), "malformed", 400),
    "no signature": (lambda: lacking(SIGNATURE_HEADER), "malformed", 400),
    "no hotkey": (lambda: lacking(HOTKEY_HEADER), "malformed", 400),
    "no nonce": (lambda: lacking(NONCE_HEADER), "malformed", 400),
    "no version": (lambda: lacking(VERSION_HEADER), "malformed", 400),
    "no receiver": (lambda: lacking(RECEIVER_HEADER), "wrong-receiver", 401),
    "empty signature": (lambda: having(X_Bittensor_Signature=""), "malformed", 400),
    "0x alone": (lambda: having(X_Bittensor_Signature="0x"), "malformed", 400),
    "garbage signature": (lambda: having(X_Bittensor_Signature="0x" + "zz" * 64), "malformed", 400),
    "long signature": (lambda: having(X_Bittensor_Signature="0x" + "ab" * 65), "malformed", 400),
    "upper-case signature": (lambda: having(X_Bittensor_Signature="0x" + "AB" * 64), "malformed", 400),
    "zero signature": (lambda: having(X_Bittensor_Signature="0x" + "00" * 64), "bad-signature", 401),
    "random signature": (lambda: having(X_Bittensor_Signature="0x" + "5a" * 64), "bad-signature", 401),
    "hotkey of another": (lambda: having(X_Bittensor_Hotkey=MALLORY.ss58_address), "bad-signature", 401),
    "hotkey that is no address": (lambda: having(X_Bittensor_Hotkey="alice"), "malformed", 400),
    "hotkey with a wrong checksum": (
        lambda: having(X_Bittensor_Hotkey=ALICE.ss58_address[:-1] + "Z"),
        "malformed",
        400,
    ),
    "hotkey of raw bytes": (lambda: having(X_Bittensor_Hotkey="\udcff" * 48), "malformed", 400),
    "nonce zero": (lambda: having(X_Bittensor_Nonce="0"), "malformed", 400),
    "nonce below zero": (lambda: having(X_Bittensor_Nonce="-1"), "malformed", 400),
    "nonce of other digits": (lambda: having(X_Bittensor_Nonce="１２３"), "malformed", 400),
    "nonce without end": (lambda: having(X_Bittensor_Nonce="9" * 4000), "malformed", 400),
    "nonce of long ago": (lambda: signed(nonce=time.time_ns() - 60 * 10**9), "stale", 401),
    "nonce of tomorrow": (lambda: signed(nonce=time.time_ns() + 60 * 10**9), "stale", 401),
    "other receiver": (lambda: signed(receiver=MALLORY.ss58_address), "wrong-receiver", 401),
    "receiver changed after signing": (
        lambda: replace(
            signed(receiver=MALLORY.ss58_address),
            headers=signed(receiver=MALLORY.ss58_address).headers | {RECEIVER_HEADER: MINER},
        ),
        "bad-signature",
        401,
    ),
    "other scheme": (lambda: having(X_Bittensor_Crypto="ed25519"), "malformed", 400),
    "body changed": (lambda: replace(signed(), body=b'{"text":"hullo"}'), "bad-signature", 401),
    "path changed": (lambda: replace(signed(), path="/Other?deadline=5000"), "bad-signature", 401),
    "deadline changed": (lambda: replace(signed(), path="/Echo?deadline=9000"), "bad-signature", 401),
    "deadline spelled otherwise": (
        lambda: replace(signed(), path="/Echo?deadline=%35000"),
        "bad-signature",
        401,
    ),
    "mode added": (lambda: replace(signed(), path=PATH + "&mode=stream"), "bad-signature", 401),
    "method changed": (lambda: replace(signed(), method="PUT"), "bad-signature", 401),
    "compressed": (lambda: having(Content_Encoding="gzip"), "malformed", 400),
}


@pytest.mark.parametrize("case", UNPROVEN)
async def test_unproven_requests(case: str) -> None:
    make, code, status = UNPROVEN[case]
    got = await refused(make(), code)
    assert got.status == status
    assert REPLY_SIGNATURE.lower() not in got.headers


PROVEN: dict[str, tuple[Callable[[], Sent], str, int]] = {
    "unknown synapse": (lambda: signed(path="/Nothing"), "unknown-synapse", 404),
    "GET": (lambda: signed(method="GET"), "unknown-synapse", 404),
    "no JSON": (lambda: signed(body=b"hello"), "invalid-request", 422),
    "nested JSON": (lambda: signed(body=b"[" * 50_000), "invalid-request", 422),
    "unknown field": (lambda: signed(body=b'{"text":"a","more":1}'), "invalid-request", 422),
    "wrong type": (lambda: signed(body=b'{"text":NaN}'), "invalid-request", 422),
    "deadline zero": (lambda: signed(path="/Echo?deadline=0"), "invalid-request", 422),
    "deadline below zero": (lambda: signed(path="/Echo?deadline=-5"), "invalid-request", 422),
    "deadline no number": (lambda: signed(path="/Echo?deadline=soon"), "invalid-request", 422),
    "deadline of other digits": (lambda: signed(path="/Echo?deadline=%D9%A3"), "invalid-request", 422),
}


@pytest.mark.parametrize("case", PROVEN)
async def test_proven_callers_get_signed_refusals(case: str) -> None:
    make, code, status = PROVEN[case]
    request = make()
    got = await refused(request, code)
    assert got.status == status
    digest = prove(
        read_claim(request.headers, MINER, time.time_ns()), request.method, request.path, request.body
    ).digest
    check_reply(got.headers[REPLY_SIGNATURE.lower()], digest, MINER, status, "application/json", got.body)


STANDINGS = {ALICE.ss58_address: Standing(uid=3, stake=10, validator_permit=False)}
DOORS: dict[str, tuple[Door, bool, str]] = {
    "not ready": (Door(), False, "not-ready"),
    "unregistered": (Door(), True, "not-registered"),
    "low stake": (Door(minimum_stake=11), True, "low-stake"),
    "no permit": (Door(require_permit=True), True, "no-permit"),
    "denied": (Door(deny=frozenset({ALICE.ss58_address})), True, "denied"),
    "denied though allowed": (
        Door(deny=frozenset({ALICE.ss58_address}), allow=frozenset({ALICE.ss58_address})),
        True,
        "denied",
    ),
}


@pytest.mark.parametrize("case", DOORS)
async def test_the_door_fails_closed(case: str) -> None:
    door, ready, code = DOORS[case]
    if ready:
        door.update({} if case == "unregistered" else STANDINGS)
    got = await refused(signed(), code, door=door)
    assert got.status == 403
    assert REPLY_SIGNATURE.lower() in got.headers


async def test_stake_that_the_door_asks_for_is_enough() -> None:
    door = Door(minimum_stake=10)
    door.update(STANDINGS)
    async with miner(door=door) as (axon, heard):
        assert (await exchange(axon.port, signed().raw())).status == 200
        assert heard.texts == ["hello"]


async def test_replay_at_once_and_many_at_the_same_time() -> None:
    async with miner() as (axon, heard):
        raw = signed().raw()
        got = await asyncio.gather(*(exchange(axon.port, raw) for _ in range(8)))
        assert sorted(one.status for one in got) == [200] + [401] * 7
        assert {one.code for one in got if one.status == 401} == {"replayed"}
        assert heard.texts == ["hello"]


async def test_replay_after_a_restart(tmp_path: Path) -> None:
    request = signed().raw()
    async with miner(replay=ReplayGuard(tmp_path / "ceiling")) as (axon, heard):
        assert (await exchange(axon.port, request)).status == 200
    async with miner(replay=ReplayGuard(tmp_path / "ceiling")) as (axon, heard):
        assert (await exchange(axon.port, request)).code == "replayed"
        assert heard.texts == []


async def test_replay_at_another_miner() -> None:
    request = signed().raw()
    async with miner() as (axon, _), miner(key=MALLORY) as (other, heard):
        assert (await exchange(axon.port, request)).status == 200
        assert (await exchange(other.port, request)).code == "wrong-receiver"
        assert heard.texts == []


FIELDS = st.sampled_from(["version", "hotkey", "nonce", "receiver", "signature", "method", "path", "body"])


@given(FIELDS, st.data())
def test_any_change_of_a_signed_field_is_refused(name: str, data: st.DataObject) -> None:
    now = 1_700_000_000_000_000_000
    headers, _ = sign_request(ALICE, "POST", PATH, BODY, MINER, now)
    method, path, body = "POST", PATH, BODY
    codes = {"malformed", "bad-signature", "stale"}
    if name == "body":
        body = data.draw(st.binary(max_size=64).filter(lambda value: value != BODY))
        codes = {"bad-signature"}
    elif name == "path":
        path = data.draw(
            st.text(st.characters(min_codepoint=33, max_codepoint=126)).filter(lambda x: x != PATH)
        )
        codes = {"bad-signature"}
    elif name == "method":
        method = data.draw(st.sampled_from(["GET", "PUT", "PATCH", "DELETE", "POSTS"]))
        codes = {"bad-signature"}
    else:
        header = f"X-Bittensor-{name.capitalize()}"
        place = data.draw(st.integers(0, len(headers[header]) - 1))
        letter = data.draw(st.characters(min_codepoint=32, max_codepoint=255))
        value = headers[header][:place] + letter + headers[header][place + 1 :]
        if value == headers[header]:
            value += letter
        headers[header] = value
        codes = {"receiver": {"wrong-receiver"}, "version": {"malformed"}}.get(name, codes)
    with pytest.raises(Refusal) as raised:
        prove(read_claim(headers, MINER, now), method, path, body)
    assert raised.value.code in codes


ODD_PATHS = [b"*", b"//", b"/%ff%00", b"/\xff\xfe", b"http://[::1/", b"?", b"/%"]


def malformed(dice: random.Random) -> bytes:
    """One of many ways not to be a signed request."""
    sent = signed()
    name = dice.choice([*sent.headers, CRYPTO_HEADER])
    junk = "".join(chr(dice.randrange(33, 127)) for _ in range(dice.randrange(0, 200)))
    raw = sent.raw()
    ways: list[Callable[[], bytes]] = [
        lambda: replace(sent, headers=sent.headers | {name: junk}).raw(),
        lambda: replace(sent, body=sent.body + junk.encode() + b"!").raw(),
        lambda: replace(sent, path=f"/{junk}").raw(),
        lambda: raw.replace(b"POST", junk[:9].encode() or b"-", 1),
        lambda: raw[: dice.randrange(1, len(raw))],
        lambda: dice.randbytes(dice.randrange(1, 400)),
        lambda: raw.replace(b"HTTP/1.1", b"HTTP/9.9", 1),
        lambda: raw.replace(b"Length: 16", b"Length: " + dice.choice([b"-1", b"x", b"17", b"9" * 30]), 1),
        lambda: raw.replace(b"Content-Length: 16", b"Transfer-Encoding: chunked", 1),
        lambda: raw.replace(b"Host: miner", b"Host: " + b"h" * 9000, 1),
        lambda: raw.replace(b"Host: miner", b"Expect: " + junk.encode(), 1),
        lambda: raw.replace(
            PATH.encode(),
            dice.choice(ODD_PATHS),
            1,
        ),
    ]
    return dice.choice(ways)()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_thousand_malformed_requests(caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(7)
    guard = ReplayGuard()
    turns = asyncio.Semaphore(32)
    async with miner(replay=guard) as (axon, heard):

        async def one(raw: bytes) -> Got:
            async with turns:
                return await exchange(axon.port, raw, end=True)

        got = await asyncio.gather(*(one(malformed(dice)) for _ in range(1000)))
        assert heard.texts == []
        assert len(guard) == 0
        assert {each.status for each in got if each.status >= 500} == set()
        assert not any(REPLY_SIGNATURE.lower() in each.headers for each in got)
        assert not re.search("Traceback", caplog.text)
        # And it still serves.
        assert (await exchange(axon.port, signed().raw())).status == 200


async def test_a_body_beyond_the_limit_is_refused_from_its_declared_length() -> None:
    sent = signed(body=b"x" * 2000)
    head = sent.raw().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    async with miner(limits=Limits(max_body=1000)) as (axon, heard):
        got = await exchange(axon.port, head)
        assert (got.status, got.code, heard.texts) == (413, "too-large", [])
        assert REPLY_SIGNATURE.lower() not in got.headers


async def test_a_body_that_grows_beyond_the_limit_is_refused() -> None:
    raw = signed().raw().replace(b"Content-Length: 16", b"Transfer-Encoding: chunked", 1)
    head = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    async with miner(limits=Limits(max_body=1000)) as (axon, heard):
        got = await exchange(
            axon.port, head + b"200\r\n" + b"x" * 512 + b"\r\n200\r\n" + b"x" * 512 + b"\r\n"
        )
        assert (got.status, got.code, heard.texts) == (413, "too-large", [])


async def test_a_broken_chunk_is_refused_in_time() -> None:
    raw = signed().raw().replace(b"Content-Length: 16", b"Transfer-Encoding: chunked", 1)
    head = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    async with miner(limits=Limits(body_timeout=0.3)) as (axon, heard):
        reader, writer = await asyncio.open_connection("127.0.0.1", axon.port)
        writer.write(head + b"2\r\nab\r\n")
        await asyncio.sleep(0.05)  # the handler reads the body when the framing breaks
        writer.write(b"zz\r\n")
        got = await response_of(reader)
        assert (got.status in (400, 408), heard.texts) == (True, [])
        writer.close()


async def test_slow_headers_cost_a_connection_for_a_while_only() -> None:
    async with miner(limits=Limits(idle_timeout=0.05)) as (axon, heard):
        reader, writer = await asyncio.open_connection("127.0.0.1", axon.port)
        writer.write(b"POST /Echo HTTP/1.1\r\nHost:")
        assert await reader.read() == b""
        writer.close()
        assert heard.texts == []


async def test_a_slow_body_is_cut_off() -> None:
    sent = signed()
    async with miner(limits=Limits(body_timeout=0.05)) as (axon, heard):
        reader, writer = await asyncio.open_connection("127.0.0.1", axon.port)
        writer.write(sent.raw()[:-3])
        got = await response_of(reader)
        assert (got.status, got.code, heard.texts) == (408, "deadline", [])
        assert got.headers["connection"] == "close"
        writer.close()


async def test_too_many_connections_are_told_so_unsigned() -> None:
    """More than may be, all of them at work."""
    started, go = asyncio.Event(), asyncio.Event()

    async def slow(request: Echo, caller: Caller) -> Echo.Reply:
        started.set()
        await go.wait()
        return Echo.Reply(text=request.text)

    async with Axon(BOB, door=Door.open(), limits=Limits(max_connections=1)).serve(Echo, slow) as axon:
        first = asyncio.create_task(exchange(axon.port, signed().raw()))
        await started.wait()
        got = await exchange(axon.port, signed().raw())
        assert (got.status, got.code, axon.stats["busy"]) == (429, "busy", 1)
        assert REPLY_SIGNATURE.lower() not in got.headers
        go.set()
        assert (await first).status == 200


async def test_a_connection_that_does_nothing_makes_room_for_one_that_does() -> None:
    async with miner(limits=Limits(max_connections=1)) as (axon, heard):
        reader, held = await asyncio.open_connection("127.0.0.1", axon.port)
        got = await exchange(axon.port, signed().raw())
        assert (got.status, heard.texts) == (200, ["hello"])
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        held.close()


async def test_keys_that_anybody_can_make_fill_no_memory(tmp_path: Path) -> None:
    """Fresh keys with valid signatures are turned away by the door, and neither their nonces nor rates are kept."""
    guard = ReplayGuard(tmp_path / "nonces", capacity=3)
    async with miner(door=Door(), replay=guard) as (axon, heard):
        axon.door.update({ALICE.ss58_address: Standing(1, 10**12, True)})
        for number in range(8):
            stranger = keypair_from_uri(f"//stranger{number}")
            headers, _ = sign_request(stranger, "POST", PATH, BODY, MINER, time.time_ns())
            assert (await exchange(axon.port, Sent(headers).raw())).code == "not-registered"
        assert len(guard) == 0
        assert not list(tmp_path.iterdir())
        assert (await exchange(axon.port, signed().raw())).status == 200
        assert heard.texts == ["hello"]


async def test_a_caller_that_does_not_read_its_reply_loses_its_connection() -> None:
    async def long(request: Echo, caller: Caller) -> Echo.Reply:
        return Echo.Reply(text="x" * (16 << 20))

    axon = Axon(BOB, door=Door.open(), limits=Limits(send_timeout=0.3)).serve(Echo, long)
    async with axon:
        reader, writer = await asyncio.open_connection("127.0.0.1", axon.port, limit=1 << 12)
        writer.write(signed().raw())
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.6)
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read(-1)) < 16 << 20
        writer.close()


def test_a_damaged_nonce_file_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "nonces").write_text("17e3")
    with pytest.raises(ReplayStateUnusable, match="Move it away"):
        ReplayGuard(tmp_path / "nonces")
