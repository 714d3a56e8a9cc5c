"""A caller that means no good: requests that are broken or forged in many ways, and a client that sends any bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ranvier.protocol import Keypair, keypair_from_uri
from ranvier.protocol.btauth import (
    HOTKEY_HEADER,
    NONCE_HEADER,
    RECEIVER_HEADER,
    SIGNATURE_HEADER,
    sign_request,
)
from ranvier.protocol.legacy.signing import DENDRITE

ALICE, BOB, CHARLIE, EVE, STRANGER = (
    keypair_from_uri(f"//{name}") for name in ("Alice", "Bob", "Charlie", "Eve", "Nobody")
)
PATH, BODY = "/Echo?deadline=5000", b'{"text":"hello"}'
SECOND = 1_000_000_000
NO_ANSWER = "closed"


@dataclass(frozen=True)
class Sent:
    """A request as it goes onto the wire."""

    headers: dict[str, str]
    path: str = PATH
    body: bytes = BODY
    method: str = "POST"

    @classmethod
    def signed(
        cls,
        key: Keypair = ALICE,
        *,
        path: str = PATH,
        body: bytes = BODY,
        method: str = "POST",
        receiver: str = BOB.ss58_address,
        late: int = 0,
        nonce: int | None = None,
    ) -> Sent:
        """By ``key``, ``late`` nanoseconds ago, or with this nonce."""
        nonce = next_nonce() - late if nonce is None else nonce
        headers, _ = sign_request(key, method, path, body, receiver, nonce)
        return cls(headers, path, body, method)

    def raw(self, *more: str, length: int | None = None) -> bytes:
        """Its bytes, with more header lines."""
        size = len(self.body) if length is None else length
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: miner", f"Content-Length: {size}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()] + [*more, "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body

    def with_header(self, name: str, value: str) -> Sent:
        """One header changed."""
        return replace(self, headers=self.headers | {name: value})


_LAST = [0]


def next_nonce() -> int:
    """Now, and never the same twice: a replay has to be meant."""
    _LAST[0] = max(_LAST[0] + 1, time.time_ns())
    return _LAST[0]


@dataclass(frozen=True)
class Kind:
    """One way to be hostile. ``codes`` are the refusals that it may get, `NO_ANSWER` a connection that closes."""

    name: str
    codes: frozenset[str]
    make: Callable[[random.Random], bytes]
    whole: bool = True
    """Whether the axon can know that the request has ended."""


def _flip(text: str, dice: random.Random) -> str:
    place = dice.randrange(2, len(text))
    return text[:place] + dice.choice([c for c in "0123456789abcdef" if c != text[place]]) + text[place + 1 :]


def _junk(dice: random.Random, most: int = 200) -> str:
    return "".join(chr(dice.randrange(33, 127)) for _ in range(dice.randrange(1, most)))


def _chunked(body: bytes, key: Keypair = ALICE) -> bytes:
    head = Sent.signed(key, body=b"").raw().replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return head + body


def _legacy(dice: random.Random) -> bytes:
    """A 10.x request, with one thing wrong or with a signature that does not hold."""
    headers = {
        f"{DENDRITE}hotkey": ALICE.ss58_address, f"{DENDRITE}nonce": str(next_nonce()), f"{DENDRITE}uuid": "a-b-1",
        f"{DENDRITE}signature": "0x" + dice.randbytes(64).hex(), f"{DENDRITE}version": "10005000",
        "bt_header_axon_hotkey": BOB.ss58_address, "computed_body_hash": dice.randbytes(32).hex(), "timeout": "12.0",
    }  # fmt: skip
    if dice.random() < 0.7:
        headers[dice.choice([*headers][:-1])] = _junk(dice, 60).replace(":", "_")
    return Sent(headers, path="/Echo").raw()


def _without_a_header(dice: random.Random) -> bytes:
    headers = dict(Sent.signed().headers)
    del headers[dice.choice([*headers])]
    return Sent(headers).raw()


def _random_header(dice: random.Random) -> bytes:
    sent = Sent.signed()
    return sent.with_header(dice.choice([*sent.headers]), _junk(dice)).raw()


ODD_PATHS = ("*", "//", "/%ff%00", "http://[::1/", "?", "/%", "/../etc/passwd", "/Echo/", "/echo", "/-/")
ODD_QUERIES = (
    "deadline=0", "deadline=-1", "deadline=1e3", "deadline=01", "deadline=9999999999", "mode=", "mode=bulk", "a=b", "&",
    "deadline=5&deadline=5", "codec=json", "packed=gzip", "seal=0", "packed=zlib&seal=" + "0" * 32, "deadline=%35",
)  # fmt: skip
ODD_BODIES = (
    b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b'{"text":1}', b'{"text":null}', b'{"more":1}', b"[" * 5000,
    b'{"text":"a","more":1}', b'{"text":NaN}', b'{"text":"\\ud800"}', b'{"text":"a"}x', b'{"a":' * 3000,
)  # fmt: skip
LARGE = b'{"text":"' + b"x" * ((1 << 20) - 11) + b'"}'
LISTS = b'{"text":[' + b",".join([b"[" * 190 + b"]" * 190] * 2700) + b"]}"
VERSIONS = (b"HTTP/9.9", b"HTTP/1", b"HTP/1.1", b"", b"HTTP/1.1 x")
FIELDS = (b"Host miner", b": x", b"\x00: x", b"A\x00b: x", b" x")
LENGTHS = (b"-1", b"x", b"9" * 30, b"0x10", b"1,6")
HEADS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda raw, dice: raw.replace(b"HTTP/1.1", dice.choice(VERSIONS), 1),
    lambda raw, dice: raw.replace(b"POST", dice.choice([b"", b"P\x00ST", b"P ST", b"(\x7f)", b"\xff"]), 1),
    lambda raw, dice: raw.replace(b"Host: miner", dice.choice(FIELDS), 1),
    lambda raw, dice: raw.replace(b"Host: miner", b"Host: " + b"h" * dice.randrange(9000, 30_000), 1),
    lambda raw, dice: raw.replace(b"Host: miner", b"\r\n".join(b"X-%d: y" % n for n in range(400)), 1),
    lambda raw, dice: raw.replace(b"Length: 16", b"Length: " + dice.choice(LENGTHS), 1),
    lambda raw, dice: raw.replace(b"Content-Length: 16", b"Content-Length: 16\r\nContent-Length: 17", 1),
    lambda raw, dice: raw.replace(b"Content-Length: 16", b"Content-Length: 16\r\nTransfer-Encoding: chunked", 1),
    lambda raw, dice: raw.replace(b"Content-Length: 16", b"Transfer-Encoding: " + _junk(dice, 20).encode(), 1),
    lambda raw, dice: raw.replace(b"\r\n", b"\r\n ", 1),
)  # fmt: skip

MALFORMED = frozenset({"malformed"})
KINDS: tuple[Kind, ...] = (
    Kind("noise", MALFORMED | {NO_ANSWER}, lambda dice: dice.randbytes(dice.randrange(1, 400)), whole=False),
    Kind("half a request", MALFORMED | {NO_ANSWER},
         lambda dice: (raw := Sent.signed().raw())[: dice.randrange(1, len(raw))], whole=False),
    Kind("broken head", MALFORMED | {NO_ANSWER, "wrong-receiver"},
         lambda dice: dice.choice(HEADS)(Sent.signed(receiver=ALICE.ss58_address).raw(), dice), whole=False),
    Kind("no headers", MALFORMED, lambda dice: Sent({}, path="/Echo").raw()),
    Kind("a header too few", MALFORMED | {"wrong-receiver"}, _without_a_header),
    Kind("a header of junk", MALFORMED | {"wrong-receiver"}, _random_header),
    Kind("forged signature", frozenset({"bad-signature"}), lambda dice: Sent.signed().with_header(
        SIGNATURE_HEADER, "0x" + dice.randbytes(64).hex()).raw()),
    Kind("signature with a digit changed", frozenset({"bad-signature"}),
         lambda dice: (s := Sent.signed()).with_header(
             SIGNATURE_HEADER, _flip(s.headers[SIGNATURE_HEADER], dice)).raw()),
    Kind("another's hotkey", frozenset({"bad-signature"}),
         lambda dice: Sent.signed(STRANGER).with_header(HOTKEY_HEADER, ALICE.ss58_address).raw()),
    Kind("no address", MALFORMED, lambda dice: Sent.signed().with_header(
        HOTKEY_HEADER, "5" + "".join(dice.choices("123456789ABCDEFGHJKLMNPQRSTUVWXYZ", k=47))).raw()),
    Kind("expired", frozenset({"stale"}), lambda dice: Sent.signed(late=dice.randrange(11, 10**6) * SECOND).raw()),
    Kind("from the future", frozenset({"stale"}),
         lambda dice: Sent.signed(late=-dice.randrange(60, 10**6) * SECOND).raw()),
    Kind("nonce changed", frozenset({"bad-signature", "stale"}),
         lambda dice: (s := Sent.signed()).with_header(NONCE_HEADER, str(int(s.headers[NONCE_HEADER]) + 1)).raw()),
    Kind("for another miner", frozenset({"wrong-receiver"}), lambda dice: Sent.signed(receiver=EVE.ss58_address).raw()),
    Kind("meant for us afterwards", frozenset({"bad-signature"}), lambda dice: Sent.signed(
        receiver=EVE.ss58_address).with_header(RECEIVER_HEADER, BOB.ss58_address).raw()),
    Kind("body changed", frozenset({"bad-signature"}),
         lambda dice: replace(Sent.signed(), body=b'{"text":"%x"}' % dice.getrandbits(64)).raw()),
    Kind("path changed", MALFORMED | {"bad-signature"},
         lambda dice: replace(
             Sent.signed(), path="/" + dice.choice([_junk(dice, 60).replace("#", "_"), "\udcff\udcfe"])).raw()),
    Kind("method changed", frozenset({"bad-signature"}),
         lambda dice: replace(Sent.signed(), method=dice.choice(["PUT", "PATCH", "DELETE", "OPTIONS", "GET"])).raw()),
    Kind("a stranger", frozenset({"not-registered"}), lambda dice: Sent.signed(STRANGER).raw()),
    Kind("one that is denied", frozenset({"denied"}), lambda dice: Sent.signed(EVE).raw()),
    Kind("unknown path", frozenset({"unknown-synapse", "bad-signature", "malformed"}),
         lambda dice: Sent.signed(path=dice.choice(ODD_PATHS)).raw()),
    Kind("unknown method", frozenset({"unknown-synapse"}),
         lambda dice: Sent.signed(method=dice.choice(["GET", "PUT", "DELETE"]), body=b"").raw()),
    Kind("unknown query", frozenset({"invalid-request"}),
         lambda dice: Sent.signed(path=f"/Echo?{dice.choice(ODD_QUERIES)}").raw()),
    Kind("bad body", frozenset({"invalid-request"}), lambda dice: Sent.signed(body=dice.choice(ODD_BODIES)).raw()),
    Kind("no frame", frozenset({"invalid-request"}),
         lambda dice: Sent.signed(path="/Echo?codec=binary", body=b"RVF1" + dice.randbytes(60)).raw()),
    Kind("not packed", frozenset({"invalid-request", "malformed"}),
         lambda dice: Sent.signed(path="/Echo?packed=zlib", body=dice.randbytes(60)).raw()),
    Kind("sealed to nobody", frozenset({"unknown-prekey"}), lambda dice: Sent.signed(
        path=f"/Echo?seal={dice.randbytes(16).hex()}", body=dice.randbytes(80)).raw()),
    Kind("poll of no job", frozenset({"unknown-job"}), lambda dice: Sent.signed(
        path="/-/job", body=json.dumps(
            {"job": dice.randbytes(32).hex(), "wait": 0, "cancel": dice.random() < .5}).encode()).raw()),
    Kind("bad poll", frozenset({"invalid-request"}), lambda dice: Sent.signed(path="/-/job", body=b'{"job":7}').raw()),
    Kind("prekey with a query", frozenset({"malformed"}),
         lambda dice: Sent({}, path=f"/-/prekey?{_junk(dice, 9)}".replace("#", "_"), body=b"", method="GET").raw()),
    Kind("compressed by a header", MALFORMED, lambda dice: Sent.signed().raw(
        f"Content-Encoding: {dice.choice(['gzip', 'br', 'deflate', 'zstd', 'identity'])}")),
    Kind("says it is too large", frozenset({"too-large"}), lambda dice: Sent.signed(body=b"").raw(
        length=dice.randrange(2 << 20, 2 << 40))),
    Kind("is too large", frozenset({"too-large"}), lambda dice: Sent.signed(body=b"x" * (2 << 20)).raw()),
    Kind("forged, as large as may be", frozenset({"bad-signature", "busy"}),
         lambda dice: replace(Sent.signed(), body=LARGE).raw()),
    Kind("lists of lists, as large as may be", frozenset({"invalid-request", "busy"}),
         lambda dice: Sent.signed(body=LISTS).raw()),
    Kind("broken chunks", MALFORMED | {NO_ANSWER}, lambda dice: _chunked(
        dice.choice([b"zz\r\n", b"5\r\nab", b"-1\r\n\r\n", b"5\r\nabcdefgh\r\n", b"f" * 40 + b"\r\n"])), whole=False),
    Kind("10.x", MALFORMED | {"bad-signature", "wrong-receiver", "stale"}, _legacy),
)  # fmt: skip


@dataclass(frozen=True)
class Got:
    """A response; ``status`` 0 where the connection was closed without one."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    size: int = 0
    """Bytes of all of it."""

    @property
    def code(self) -> str:
        """Its refusal's code."""
        if not self.status:
            return NO_ANSWER
        if self.status == 200:
            return "answered"
        told = json.loads(self.body)
        return str(
            told["code"] if "code" in told else told["message"].partition(":")[0]
        )  # ours, that of 10.x


class Line:
    """One connection that is kept while the axon keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, raw: bytes, *, whole: bool = True) -> Got:
        """Send these bytes and read one response; what is not ``whole`` is ended by closing our half."""
        kept = self._open is not None
        got = await self._once(raw, whole)
        if kept and not got.status:  # perhaps closed before these bytes came
            got = await self._once(raw, whole)
        return got

    async def _once(self, raw: bytes, whole: bool) -> Got:
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._open
        got = Got()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            writer.write(raw)
            if not whole:
                writer.write_eof()
            got = await response_of(reader)
        if not whole or not got.status or got.headers.get("connection") == "close":
            await self.close()
        return got

    async def close(self) -> None:
        """Drop it."""
        if self._open is not None:
            writer, self._open = self._open[1], None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def response_of(reader: asyncio.StreamReader) -> Got:
    """One response. Raises IncompleteReadError or ConnectionError where none comes."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Got(int(status.split()[1]), headers, body, len(head) + len(body))


async def send_once(port: int, raw: bytes, *, whole: bool = True) -> Got:
    """Over a connection of its own."""
    line = Line(port)
    try:
        return await line.send(raw, whole=whole)
    finally:
        await line.close()


async def send_all(
    port: int, requests: Iterable[tuple[Any, bytes, bool]], at_once: int = 32
) -> list[tuple[Any, Got]]:
    """Each (tag, bytes, whole), so many in flight; the tags with what came, in no order."""
    left, found = iter(requests), []

    async def work() -> None:
        line = Line(port)
        for tag, raw, whole in left:
            found.append((tag, await line.send(raw, whole=whole)))
        await line.close()

    await asyncio.gather(*(work() for _ in range(at_once)))
    return found


def flood(count: int, seed: int) -> Iterable[tuple[Kind, bytes, bool]]:
    """So many hostile requests, each kind in turn; made as they are taken, so that they are fresh."""
    dice = random.Random(seed)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        yield kind, kind.make(dice), kind.whole


def codes(found: Iterable[tuple[Kind, Got]]) -> Counter[str]:
    """How often each code came."""
    return Counter(got.code for _, got in found)
