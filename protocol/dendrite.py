"""Dendrite: the client of a neuron, one for each process."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from pydantic import ValidationError
from yarl import URL

from ranvier.protocol.addresses import AddressPolicy
from ranvier.protocol.btauth import sign_request
from ranvier.protocol.caller import Target
from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.keys import Keypair
from ranvier.protocol.legacy.client import legacy_outcome, legacy_request
from ranvier.protocol.limits import Limits
from ranvier.protocol.nonces import NonceClock
from ranvier.protocol.outcome import Answered, Invalid, Outcome, Refused, TimedOut, Unreachable
from ranvier.protocol.replies import REPLY_SIGNATURE, check_reply
from ranvier.protocol.streams import STREAM_TYPE, StreamReader
from ranvier.protocol.synapse import Synapse

MAX_REFUSAL = 4096
"""Bytes of a refusal that are read; ours are a few hundred."""
MAX_WAIT = 3600.0
"""Seconds that a refusal may ask to wait; more is taken for no answer."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A response whose head arrived, with the digest of the request that it answers."""

    response: aiohttp.ClientResponse
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Message:
    """A request as it goes out."""

    url: URL
    body: bytes
    headers: dict[str, str]
    digest: bytes


class Dendrite:
    """Asks miners and believes only what they signed.

    Open it with ``async with``; the constructor touches no network. One session is kept for all calls; a hostile or
    dead peer costs its own request and nothing else.
    """

    def __init__(
        self,
        key: Keypair,
        *,
        limits: Limits | None = None,
        addresses: AddressPolicy | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.key = key
        self.limits = limits or Limits()
        self.addresses = addresses or AddressPolicy.public()
        self._nonces = NonceClock(now)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=0, resolver=_GuardedResolver(self.addresses), keepalive_timeout=3.0
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            max_line_size=self.limits.max_header,
            max_field_size=self.limits.max_header,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, target: Target, request: Synapse, *, deadline: float) -> Outcome[Any]:
        """Send one request; whatever the peer does becomes an outcome. ``deadline`` is in seconds from now."""
        return await self._guarded(target, deadline, self._ask(target, request, deadline))

    async def ask_all(
        self, requests: Sequence[tuple[Target, Synapse]], *, deadline: float
    ) -> list[Outcome[Any]]:
        """Ask many at the same instant with one deadline; outcomes in the order of the requests."""
        return await asyncio.gather(
            *(self.ask(target, request, deadline=deadline) for target, request in requests)
        )

    async def ask_legacy(self, target: Target, request: Synapse, *, deadline: float) -> Outcome[Any]:
        """Ask an axon of the 10.x wire. An answer is never proven; nothing falls back to this by itself."""
        return await self._guarded(target, deadline, self._ask_legacy(target, request, deadline))

    async def stream(
        self, target: Target, request: Synapse, *, deadline: float
    ) -> AsyncIterator[str | Outcome[Any]]:
        """Pieces of text as they come, then the outcome. Pieces are not proven before the outcome is `Answered`."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        work = asyncio.ensure_future(
            self._guarded(target, deadline, self._stream(target, request, deadline, pieces))
        )
        work.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            yield await work
        finally:
            work.cancel()

    async def _guarded(
        self, target: Target, deadline: float, work: Coroutine[Any, Any, Outcome[Any]]
    ) -> Outcome[Any]:
        started = _clock()
        try:
            async with asyncio.timeout(deadline):
                return await work
        except TimeoutError:
            return TimedOut(target, _clock() - started)
        except InvalidReply as error:
            return Invalid(target, _clock() - started, str(error))
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
            return Invalid(target, _clock() - started, f"the connection broke: {error}"[:200])
        except (aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError) as error:
            return Invalid(target, _clock() - started, f"no HTTP: {error}"[:200])
        except (aiohttp.ClientError, OSError) as error:
            return Unreachable(target, _clock() - started, str(error)[:200])

    async def _ask(self, target: Target, request: Synapse, deadline: float) -> Outcome[Any]:
        started = _clock()
        message = self._message(target, request, deadline, "")
        async with self._post(message) as response:
            body = await self._read(response)
            sent = _Sent(response, message.digest)
            if response.status != 200:
                return _refused(target, _clock() - started, sent, body)
            _check(sent, target, body)
            reply = _parse(request, body)
            return Answered(target, _clock() - started, reply, len(body))

    async def _ask_legacy(self, target: Target, request: Synapse, deadline: float) -> Outcome[Any]:
        started = _clock()
        self._check_address(target)
        headers, body = legacy_request(self.key, target, request, deadline, self._nonces.next())
        message = _Message(_url(target.host, target.port, request.route()), body, headers, b"")
        async with self._post(message) as response:
            found = await self._read(response)
            elapsed = _clock() - started
            return legacy_outcome(target, elapsed, request, response.status, response.headers, found)

    async def _stream(
        self, target: Target, request: Synapse, deadline: float, pieces: asyncio.Queue[str | None]
    ) -> Outcome[Any]:
        started = _clock()
        message = self._message(target, request, deadline, "&mode=stream")
        async with self._post(message) as response:
            if response.content_type != STREAM_TYPE:
                body = await self._read(response)
                return _refused(target, _clock() - started, _Sent(response, message.digest), body)
            reader = StreamReader(target.hotkey, message.digest)
            size = 0
            async for line in _lines(response, self.limits.max_reply):
                size += len(line)
                piece = reader.take(line)
                if piece is not None:
                    pieces.put_nowait(piece)
            return _streamed(target, _clock() - started, request, reader, size)

    def _message(self, target: Target, request: Synapse, deadline: float, more: str) -> _Message:
        """The request signed; raises `aiohttp.ClientConnectionError` for an address that must not be called."""
        self._check_address(target)
        body = request.__pydantic_serializer__.to_json(request)
        path = f"{request.route()}?deadline={max(1, int(deadline * 1000))}{more}"
        headers, digest = sign_request(self.key, "POST", path, body, target.hotkey, self._nonces.next())
        headers["Content-Type"] = "application/json"
        headers["Accept-Encoding"] = "identity"
        return _Message(_url(target.host, target.port, path), body, headers, digest)

    def _check_address(self, target: Target) -> None:
        refusal = self.addresses.refusal(target.host)
        if refusal is not None:
            raise aiohttp.ClientConnectionError(refusal)

    def _post(self, message: _Message) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("open the dendrite first: `async with Dendrite(key) as dendrite:`")
        return self._session.post(
            message.url, data=message.body, headers=message.headers, allow_redirects=False
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body as it came, capped; a compressed one is refused, so bytes on the wire are bytes in memory."""
        if "Content-Encoding" in response.headers:
            raise InvalidReply("the reply is compressed")
        limit = self.limits.max_reply if response.status == 200 else MAX_REFUSAL
        parts, size = [], 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > limit:
                raise InvalidReply(f"the reply is longer than {limit} bytes")
            parts.append(part)
        return b"".join(parts)


class _GuardedResolver(AbstractResolver):
    """Resolves names and drops every address that the policy refuses, so a name cannot lead where a literal may not."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy, self._inner = policy, ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As the system resolves, less what is refused."""
        found = await self._inner.resolve(host, port, family)
        allowed = [one for one in found if not self._policy.refusal_of(ipaddress.ip_address(one["host"]))]
        if not allowed:
            raise OSError(errno.EADDRNOTAVAIL, f"{host} leads to no address that may be called")
        return allowed

    async def close(self) -> None:
        """Release the system resolver."""
        await self._inner.close()


@lru_cache(maxsize=4096)
def _url(host: str, port: int, path: str) -> URL:
    """Built once for each miner and deadline: parsing costs as much as a signature."""
    if not 0 < port < 1 << 16:
        raise aiohttp.ClientConnectionError(f"{port} is no port that can be called")
    named = f"[{host}]" if ":" in host else host
    return URL(f"http://{named}:{port}{path}", encoded=True)


def _clock() -> float:
    """Seconds by the loop's clock: the one that deadlines go by, also where a test simulates time."""
    return asyncio.get_running_loop().time()


def _check(sent: _Sent, target: Target, body: bytes) -> None:
    response = sent.response
    signature = response.headers.get(REPLY_SIGNATURE)
    content_type = response.headers.get("Content-Type", "").partition(";")[0]
    check_reply(signature, sent.digest, target.hotkey, response.status, content_type, body)


def _parse(request: Synapse, body: bytes) -> Any:
    try:
        return type(request).Reply.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise InvalidReply(
            f"the reply is not what {type(request).__name__} declares: {fault['msg'][:120]}"
        ) from error


def _refused(target: Target, elapsed: float, sent: _Sent, body: bytes) -> Outcome[Any]:
    if sent.response.status < 400:
        return Invalid(target, elapsed, f"status {sent.response.status} is neither an answer nor a refusal")
    try:
        content = json.loads(body)
        code, detail = str(content["code"])[:40], str(content.get("detail", ""))[:200]
        retry_after = _seconds(content.get("retry_after"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Invalid(target, elapsed, f"status {sent.response.status} without a refusal's code")
    try:
        _check(sent, target, body)
    except InvalidReply:
        proven = False
    else:
        proven = True
    return Refused(target, elapsed, code, detail, retry_after, proven)


def _seconds(wait: object) -> float | None:
    """A peer's ``retry_after``, where it is a time that a caller can wait: zero to `MAX_WAIT`."""
    fits = isinstance(wait, int | float) and not isinstance(wait, bool) and 0 <= wait <= MAX_WAIT
    return float(wait) if fits else None  # type: ignore[arg-type]


def _streamed(
    target: Target, elapsed: float, request: Synapse, reader: StreamReader, size: int
) -> Outcome[Any]:
    if not reader.finished:
        raise InvalidReply("the stream was cut short")
    if reader.refusal is not None:
        code, detail = str(reader.refusal.get("code"))[:40], str(reader.refusal.get("detail", ""))[:200]
        return Refused(target, elapsed, code, detail, proven=True)
    try:
        body = json.dumps(reader.reply).encode()
    except RecursionError as error:
        raise InvalidReply("the reply is nested too deeply") from error
    return Answered(target, elapsed, _parse(request, body), size)


async def _lines(response: aiohttp.ClientResponse, limit: int) -> AsyncIterator[bytes]:
    """Lines without their ends; at most ``limit`` bytes together."""
    held: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > limit:
            raise InvalidReply(f"the stream is longer than {limit} bytes")
        # Parts of an unfinished line are joined once: a drip of single bytes must not cost their square.
        first, *rest = part.split(b"\n")
        held.append(first)
        for following in rest:
            yield b"".join(held)
            held = [following]
    if any(held):
        raise InvalidReply("the stream was cut short")
