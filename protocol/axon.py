"""Axon: the server of a neuron."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from ranvier.protocol.btauth import Signed, prove, read_claim
from ranvier.protocol.caller import Caller
from ranvier.protocol.codes import Code
from ranvier.protocol.door import Door
from ranvier.protocol.errors import ProtocolError, Refusal
from ranvier.protocol.gate import Gate, RateLimit
from ranvier.protocol.handlers import Handler, Served, served
from ranvier.protocol.keys import Keypair
from ranvier.protocol.limits import Limits
from ranvier.protocol.nonces import ReplayGuard
from ranvier.protocol.request import read_body, read_call, refusal_response, reply_response
from ranvier.protocol.streams import StreamWriter
from ranvier.protocol.synapse import Synapse

S = TypeVar("S", bound=Synapse)
_log = logging.getLogger(__name__)


class Axon:
    """Serves synapses to authenticated, admitted callers.

    Order for each request: connection and byte limits, auth headers, body, signature, replay, rate, door, route,
    model, queue, handler. Nothing is stored, parsed as a model or signed for a caller before its signature held.
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
    ) -> None:
        self.key, self.door = key, door
        self.limits = limits or Limits()
        self.stats: Counter[str] = Counter()
        """How many requests ended in each way: ``answered`` or a refusal's code."""
        self._host, self._port = host, port
        self._replay = replay if replay is not None else ReplayGuard()
        self._now = now
        self._gate, self._rate = Gate(self.limits), RateLimit(self.limits)
        self._served: dict[str, Served] = {}
        self._runner: web.AppRunner | None = None
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
        app = web.Application(client_max_size=self.limits.max_body)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            handle_signals=False,
            keepalive_timeout=self.limits.idle_timeout,
            auto_decompress=False,
            max_line_size=self.limits.max_header,
            max_field_size=self.limits.max_header,
            lingering_time=1.0,
        )
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

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        signed: Signed | None = None
        try:
            self._check_connection()
            claim = read_claim(request.headers, self.key.ss58_address, self._now())
            body = await read_body(request, self.limits)
            signed = prove(claim, request.method, request.raw_path, body)
            return await self._admitted(request, body, signed)
        except Refusal as refusal:
            self.stats[refusal.code.value] += 1
            return refusal_response(refusal, self.key if signed else None, signed)

    def _check_connection(self) -> None:
        server = self._runner.server if self._runner else None
        if server is not None and len(server.connections) > self.limits.max_connections:
            raise Refusal(Code.BUSY, "too many connections", retry_after=2.0)

    async def _admitted(self, request: web.Request, body: bytes, signed: Signed) -> web.StreamResponse:
        self._replay.accept(signed.hotkey, signed.nonce, self._now())
        self._rate.take(signed.hotkey, time.monotonic())
        caller = self.door.admit(signed.hotkey)
        if self._draining:
            raise Refusal(Code.DRAINING, "shutting down", retry_after=10.0)
        call = read_call(request, body, self._served, self.limits)
        try:
            async with asyncio.timeout(call.deadline), self._gate.turn(caller):
                if call.streams:
                    return await self._stream(request, call.served, call.synapse, caller, signed)
                return await self._answer(call.served, call.synapse, caller, signed)
        except TimeoutError as error:
            raise Refusal(Code.DEADLINE, "the deadline passed") from error

    async def _answer(self, served: Served, synapse: Synapse, caller: Caller, signed: Signed) -> web.Response:
        reply = await self._run(served, synapse, caller)
        self.stats["answered"] += 1
        return reply_response(self.key, signed, reply)

    async def _run(self, served: Served, synapse: Synapse, caller: Caller) -> Any:
        try:
            if not served.streams:
                return await served.handler(synapse, caller)
            items = [item async for item in served.handler(synapse, caller) if not isinstance(item, str)]
        except (Refusal, asyncio.CancelledError, TimeoutError):
            raise
        except Exception as error:  # a handler may raise anything; the caller learns only that it failed
            raise self._failed(served, error) from error
        return items[-1]

    async def _stream(
        self, request: web.Request, served: Served, synapse: Synapse, caller: Caller, signed: Signed
    ) -> web.StreamResponse:
        writer = StreamWriter(self.key, signed)
        response = await writer.open(request)
        try:
            if served.streams:
                async for item in served.handler(synapse, caller):
                    await writer.write(item)
            else:
                await writer.write(await served.handler(synapse, caller))
        except TimeoutError:
            await writer.refuse(Refusal(Code.DEADLINE, "the deadline passed"))
        except Refusal as refusal:
            await writer.refuse(refusal)
        except Exception as error:  # noqa: BLE001  as in `_run`; the stream has begun, so the refusal is its last frame
            await writer.refuse(self._failed(served, error))
        self.stats[writer.ending] += 1
        return response

    def _failed(self, served: Served, error: Exception) -> Refusal:
        _log.error("the handler of %s failed: %s: %s", served.synapse.__name__, type(error).__name__, error)
        _log.debug("handler failure", exc_info=error)
        return Refusal(Code.FAILED, "the handler failed")
