"""Axon: the server of a neuron."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ranvier.protocol.arrivals import FREE
from ranvier.protocol.codec import JSON
from ranvier.protocol.codes import Code
from ranvier.protocol.connections import Connections
from ranvier.protocol.door import Door
from ranvier.protocol.errors import ProtocolError, Refusal
from ranvier.protocol.exchange import Exchange
from ranvier.protocol.gate import Gate
from ranvier.protocol.handlers import Handler, served
from ranvier.protocol.keys import Keypair
from ranvier.protocol.legacy.axon import LegacyExchange
from ranvier.protocol.legacy.server import is_legacy
from ranvier.protocol.limits import Limits
from ranvier.protocol.load import Load
from ranvier.protocol.nonces import ReplayGuard
from ranvier.protocol.prekeys import PREKEY_ROUTE
from ranvier.protocol.request import refusal_body
from ranvier.protocol.service import Service
from ranvier.protocol.synapse import Synapse
from ranvier.protocol.timeline import Observer, Timeline

S = TypeVar("S", bound=Synapse)
_log = logging.getLogger(__name__)
_http_log = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
)
"""aiohttp's log, less what is only a peer's broken HTTP: strangers must not fill our logs with tracebacks."""

BUFFERED: Final = 1 << 15
"""Bytes of a reply that the socket takes at once: nobody has to wait for a caller that does not read."""


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
        seal_required: bool = False,
        legacy: bool = False,
        observe: Observer | None = None,
    ) -> None:
        """``seal_required`` refuses bodies in clear; sealed ones are always taken.

        ``legacy`` also answers callers of the 10.x wire, in clear: docs/legacy.md says what that leaves open.
        ``replay`` with a file of its own guards over restarts; without one, what was sent before now is refused.
        ``observe`` hears the timeline of every request.
        """
        if legacy and seal_required:
            raise ProtocolError("the 10.x wire is in clear: an axon that requires seals cannot speak it")
        self.key, self.door = key, door
        self.limits = limits or Limits()
        self._legacy = legacy
        self._host, self._port = host, port
        self._service = Service(
            key,
            door=door,
            limits=self.limits,
            replay=replay if replay is not None else ReplayGuard(since=now()),
            now=now,
            seal_required=seal_required,
            observe=observe,
        )
        self._runner: web.ServerRunner | None = None
        self._server: Connections | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._runner is None or not self._runner.addresses:
            raise ProtocolError("the axon is not started")
        return int(self._runner.addresses[0][1])

    @property
    def gate(self) -> Gate:
        """The queue, for metrics."""
        return self._service.gate

    @property
    def stats(self) -> Counter[str]:
        """How many requests ended in each way: ``answered`` or a refusal's code."""
        return self._service.endings

    @property
    def job_endings(self) -> Counter[str]:
        """How many long jobs ended in each way: ``answered``, ``cancelled`` or a refusal's code."""
        return self._service.jobs.endings

    def load(self) -> Load:
        """What it holds now."""
        server = self._server
        if server is None:
            return self._service.load(0, 0, 0)
        return self._service.load(len(server.connections), server.cut_off, server.broken)

    @property
    def received(self) -> int:
        """Bytes of request bodies, as they travelled."""
        return self._service.received

    @property
    def sent(self) -> int:
        """Bytes of reply bodies, as they travelled."""
        return self._service.sent

    def serve(self, synapse: type[S], handler: Handler[S]) -> Self:
        """Answer ``synapse`` with ``handler``; raises `HandlerUnfit`."""
        self._service.served[synapse.route()] = served(synapse, handler, self._service.workers)
        return self

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken, and `SigningError` for a key that cannot sign."""
        loop = asyncio.get_running_loop()
        self._service.prekeys.current()
        self._service.loop = loop

        def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
            return web.BaseRequest(
                *(message, payload, protocol, writer, task, loop), client_max_size=self.limits.max_body
            )

        # The low-level server: an axon has one route, and everything before it is its own.
        self._server = self._service.connections = Connections(
            self._handle,
            self.limits,
            request_factory=request,
            handler_cancellation=True,
            access_log=None,
            logger=_http_log,
            keepalive_timeout=self.limits.idle_timeout,
            auto_decompress=False,
            max_line_size=self.limits.max_header,
            max_field_size=self.limits.max_header,
            lingering_time=1.0,
            read_bufsize=FREE >> 1,  # twice as much stops the reading
        )
        runner = web.ServerRunner(self._server, shutdown_timeout=1.0)  # `stop` has waited already
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, backlog=256).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._service.prekeys.watch(loop)

    async def stop(self, grace: float = 5.0) -> None:
        """Refuse what comes (``draining``), let what runs finish within ``grace`` seconds, close; jobs are cut off."""
        if self._runner is None:
            return
        self._service.draining = True
        try:
            async with asyncio.timeout(grace):
                await self.gate.idle()
        except TimeoutError:
            _log.warning("%d requests were cut off after %.1f s of grace", self.gate.running, grace)
        await self._service.jobs.stop()
        self._service.prekeys.close()
        self._service.workers.close()
        self._service.connections.close()
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
        timeline = self._service.timelines.begin()
        if timeline is None:
            return await self._served(request, None)
        try:
            return await self._served(request, timeline)
        except asyncio.CancelledError:
            timeline.ending = "left"
            raise
        finally:
            timeline.mark("sent")
            self._service.timelines.end(timeline)

    async def _served(self, request: web.BaseRequest, timeline: Timeline | None) -> web.StreamResponse:
        try:
            response = await self._response(request, timeline)
            if not response.prepared:
                await self._hand_over(request, response)
            return response
        finally:
            self._service.connections.answered(request.protocol)

    async def _response(self, request: web.BaseRequest, timeline: Timeline | None) -> web.StreamResponse:
        if self._service.connections.full:
            return self._turned_away(Refusal(Code.BUSY, "too many connections", retry_after=2.0), timeline)
        if request.method == "GET" and request.raw_path == PREKEY_ROUTE:
            if timeline is not None:
                timeline.ending = "prekey"
            return web.Response(body=self._service.prekeys.current().to_json(), content_type=JSON)
        if self._legacy and is_legacy(request.headers):
            return await LegacyExchange(self._service, request, timeline).respond()
        return await Exchange(self._service, request, timeline).respond()

    def _turned_away(self, refusal: Refusal, timeline: Timeline | None) -> web.Response:
        self._service.ended(refusal.code.value, timeline)
        response = web.Response(body=refusal_body(refusal), status=refusal.code.status, content_type=JSON)
        response.force_close()
        return response

    async def _hand_over(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Small replies are left to the server, in one piece with its head."""
        body = response.body if isinstance(response, web.Response) else b""
        size = len(body) if isinstance(body, bytes | bytearray) else 0
        self._service.sent += size
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
