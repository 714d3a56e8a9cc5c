"""Axon: the server of a neuron."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel

from ranvier.protocol.btauth import Signed, prove, read_claim
from ranvier.protocol.caller import Caller
from ranvier.protocol.codes import Code
from ranvier.protocol.door import Door
from ranvier.protocol.errors import ProtocolError, Refusal
from ranvier.protocol.gate import Gate, RateLimit
from ranvier.protocol.handlers import Handler, Served, served
from ranvier.protocol.keys import Keypair
from ranvier.protocol.legacy.server import (
    is_legacy,
    legacy_refusal,
    legacy_response,
    prove_legacy,
    read_legacy_call,
    read_legacy_claim,
)
from ranvier.protocol.limits import Limits
from ranvier.protocol.nonces import ReplayGuard
from ranvier.protocol.request import Call, read_body, read_call, refusal_response, reply_response
from ranvier.protocol.streams import StreamWriter
from ranvier.protocol.synapse import Synapse

S = TypeVar("S", bound=Synapse)
_log = logging.getLogger(__name__)
_http_log = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
)
"""aiohttp's log, less what is only a peer's broken HTTP: strangers must not fill our logs with tracebacks."""

BUFFERED = 1 << 15
"""Bytes of a reply that the socket takes at once: nobody has to wait for a caller that does not read."""
LAST_FRAMES = 2.0
"""Seconds for the refusal that ends a stream."""


class Axon:
    """Serves synapses to authenticated, admitted callers.

    Order for each request: connection and byte limits, auth headers, body, signature, door, replay, rate, route,
    model, queue, handler. Nothing is signed for a caller before its signature held, and nothing stored or parsed as
    a model before the door let it in.
    ``port`` 0 takes a free one; read it from `port` after `start`.
    """

    def __init__(
        self,
        key: Keypair,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        door: Door,
        limits: Limits | None = None,
        replay: ReplayGuard | None = None,
        now: Callable[[], int] = time.time_ns,
        legacy: bool = False,
    ) -> None:
        """``legacy`` also answers callers of the 10.x wire: docs/legacy.md says what that leaves open."""
        self.key, self.door = key, door
        self._legacy = legacy
        self.limits = limits or Limits()
        self.stats: Counter[str] = Counter()
        """How many requests ended in each way: ``answered`` or a refusal's code."""
        self.received = self.sent = 0
        """Bytes of request and reply bodies, as they travelled."""
        self._host, self._port = host, port
        self._replay = replay if replay is not None else ReplayGuard()
        self._now = now
        self._gate, self._rate = Gate(self.limits), RateLimit(self.limits)
        self._served: dict[str, Served] = {}
        self._runner: web.ServerRunner | None = None
        self._server: web.Server | None = None
        self._draining = False

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._runner is None or not self._runner.addresses:
            raise ProtocolError("the axon is not started")
        return int(self._runner.addresses[0][1])

    @property
    def gate(self) -> Gate:
        """The queue, for metrics."""
        return self._gate

    def serve(self, synapse: type[S], handler: Handler[S]) -> Self:
        """Answer ``synapse`` with ``handler``; raises `HandlerUnfit`."""
        self._served[synapse.route()] = served(synapse, handler)
        return self

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()

        def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
            return web.BaseRequest(
                *(message, payload, protocol, writer, task, loop), client_max_size=self.limits.max_body
            )

        # The low-level server: an axon has one route, and everything before it is its own.
        self._server = web.Server(
            self._handle,
            request_factory=request,
            handler_cancellation=True,
            access_log=None,
            logger=_http_log,
            keepalive_timeout=self.limits.idle_timeout,
            auto_decompress=False,
            max_line_size=self.limits.max_header,
            max_field_size=self.limits.max_header,
            lingering_time=1.0,
        )
        runner = web.ServerRunner(self._server, shutdown_timeout=1.0)  # `stop` has waited already
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, backlog=256).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner

    async def stop(self, grace: float = 5.0) -> None:
        """Refuse what comes (``draining``), let what runs finish within ``grace`` seconds, close."""
        if self._runner is None:
            return
        self._draining = True
        try:
            async with asyncio.timeout(grace):
                await self._gate.idle()
        except TimeoutError:
            _log.warning("%d requests were cut off after %.1f s of grace", self._gate.running, grace)
        await self._runner.cleanup()
        self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._legacy and is_legacy(request.headers):
            return await self._handle_legacy(request)
        signed: Signed | None = None
        try:
            self._check_connection()
            claim = read_claim(request.headers, self.key.ss58_address, self._now())
            body = await read_body(request, self.limits)
            self.received += len(body)
            signed = prove(claim, request.method, request.raw_path, body)
            response = await self._admitted(request, body, signed)
        except Refusal as refusal:
            self.stats[refusal.code.value] += 1
            response = refusal_response(refusal, self.key if signed else None, signed)
        if not response.prepared:
            await self._hand_over(request, response)
        return response

    async def _hand_over(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Small replies are left to the server, in one piece with its head."""
        size = _size(response)
        self.sent += size
        if size > BUFFERED:
            await self._send(request, response)

    async def _send(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """A caller that does not read must not keep its connection, and one that left is nobody's error."""
        try:
            async with asyncio.timeout(self.limits.send_timeout):
                await response.prepare(request)
                await response.write_eof()
        except ConnectionError:
            _log.debug("a caller left before its reply")
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()

    def _check_connection(self) -> None:
        if self._server is not None and len(self._server.connections) > self.limits.max_connections:
            raise Refusal(Code.BUSY, "too many connections", retry_after=2.0)

    async def _admitted(self, request: web.BaseRequest, body: bytes, signed: Signed) -> web.StreamResponse:
        caller = self._enter(signed.hotkey, signed.nonce)
        call = read_call(request, body, self._served, self.limits)
        try:
            async with asyncio.timeout(call.deadline) as clock, self._gate.turn(caller):
                if call.streams:
                    ends = clock.when()
                    clock.reschedule(None)  # from its head on, only the stream itself can say that it is late
                    return await self._stream(request, call, caller, signed, ends)
                return await self._answer(call.served, call.synapse, caller, signed)
        except TimeoutError as error:
            raise Refusal(Code.DEADLINE, "the deadline passed") from error

    def _enter(self, hotkey: str, nonce: int) -> Caller:
        """The caller, let in. The door keeps nothing, so it comes first: keys are free and must not fill our memory."""
        caller = self.door.admit(hotkey)
        self._replay.accept(hotkey, nonce, self._now())
        self._rate.take(hotkey, time.monotonic())
        if self._draining:
            raise Refusal(Code.DRAINING, "shutting down", retry_after=10.0)
        return caller

    async def _handle_legacy(self, request: web.BaseRequest) -> web.StreamResponse:
        """The same order for the 10.x wire."""
        try:
            self._check_connection()
            if request.method != "POST":
                raise Refusal(Code.UNKNOWN_SYNAPSE, "not served here")
            claim = read_legacy_claim(request.headers, self.key.ss58_address, self._now())
            body = await read_body(request, self.limits)
            self.received += len(body)
            caller = self._enter(prove_legacy(claim, self.key.ss58_address), claim.nonce)
            call, content = read_legacy_call(request.path, body, claim, self._served, self.limits)
            async with asyncio.timeout(call.deadline), self._gate.turn(caller):
                response = await self._respond(
                    call.served,
                    call.synapse,
                    caller,
                    lambda reply: legacy_response(call, content, reply),
                )
        except TimeoutError:
            response = self._legacy_refusal(Refusal(Code.DEADLINE, "the deadline passed"))
        except Refusal as refusal:
            response = self._legacy_refusal(refusal)
        await self._hand_over(request, response)
        return response

    def _legacy_refusal(self, refusal: Refusal) -> web.Response:
        self.stats[refusal.code.value] += 1
        return legacy_refusal(refusal)

    async def _answer(self, served: Served, synapse: Synapse, caller: Caller, signed: Signed) -> web.Response:
        return await self._respond(
            served, synapse, caller, lambda reply: reply_response(self.key, signed, reply)
        )

    async def _respond(
        self, served: Served, synapse: Synapse, caller: Caller, shape: Callable[[BaseModel], web.Response]
    ) -> web.Response:
        """Run the handler and shape its reply; raises `Refusal` for whatever goes wrong in either."""
        try:
            if served.streams:
                response = shape(await _last(served.handler(synapse, caller)))
            else:
                response = shape(_reply(await served.handler(synapse, caller)))
        except Refusal:
            raise
        except Exception as error:  # a handler may raise anything; the caller learns only that it failed
            raise self._failed(served, error) from error
        self.stats["answered"] += 1
        return response

    async def _stream(
        self, request: web.BaseRequest, call: Call, caller: Caller, signed: Signed, ends: float | None
    ) -> web.StreamResponse:
        writer = StreamWriter(self.key, signed)
        refusal: Refusal | None = None
        response = await writer.open(request)
        try:
            async with asyncio.timeout_at(ends) as clock:
                await self._pieces(writer, call, caller)
        except Refusal as refused:
            refusal = refused
        except Exception as error:  # noqa: BLE001  as in `_answer`
            if clock.expired():
                refusal = Refusal(Code.DEADLINE, "the deadline passed")
            elif request.transport is not None and not request.transport.is_closing():
                refusal = self._failed(call.served, error)
        # The stream has begun, so a refusal is its last frame.
        if refusal is not None:
            await _end(request, writer, refusal)
        self.stats[writer.ending] += 1
        self.sent += response.body_length
        return response

    async def _pieces(self, writer: StreamWriter, call: Call, caller: Caller) -> None:
        served = call.served
        if not served.streams:
            await writer.write(_reply(await served.handler(call.synapse, caller)))
            return
        async with aclosing(served.handler(call.synapse, caller)) as items:
            async for item in items:
                if not isinstance(item, str):
                    await writer.write(_reply(item))
                    return
                await writer.write(item)
        _reply(None)

    def _failed(self, served: Served, error: Exception) -> Refusal:
        _log.error("the handler of %s failed: %s: %s", served.synapse.__name__, type(error).__name__, error)
        _log.debug("handler failure", exc_info=error)
        return Refusal(Code.FAILED, "the handler failed")


def _size(response: web.StreamResponse) -> int:
    body = response.body if isinstance(response, web.Response) else b""
    return len(body) if isinstance(body, bytes | bytearray) else 0


async def _last(items: AsyncGenerator[Any, None]) -> BaseModel:
    """The reply of a handler that streams, for a caller that wants no pieces."""
    async with aclosing(items):
        async for item in items:
            if not isinstance(item, str):
                return _reply(item)
    return _reply(None)


def _reply(item: object) -> BaseModel:
    """What a handler returned, if it is a reply."""
    if not isinstance(item, BaseModel):
        raise TypeError(f"a handler ends with a reply, not with {type(item).__name__}")
    return item


async def _end(request: web.BaseRequest, writer: StreamWriter, refusal: Refusal) -> None:
    """Send the last frames to a caller that may have stopped reading; it must not hold its turn for ever."""
    try:
        async with asyncio.timeout(LAST_FRAMES):
            await writer.refuse(refusal)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
