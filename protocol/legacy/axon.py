"""One request of the 10.x wire at an axon: the same order of checks as on our own wire."""

from __future__ import annotations

from contextlib import aclosing

from aiohttp import web

from ranvier.protocol.caller import Caller
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.legacy.replies import legacy_refusal, legacy_response
from ranvier.protocol.legacy.server import LegacyCall, prove_legacy, read_legacy_call, read_legacy_claim
from ranvier.protocol.legacy.stream import LegacyStream
from ranvier.protocol.request import read_body
from ranvier.protocol.service import Service
from ranvier.protocol.timeline import Timeline


class LegacyExchange:
    """Authenticate, admit, read, run: nothing is signed, because that wire's callers check nothing.

    A handler that streams is streamed, as 10.x callers of such a synapse expect; one that yields no piece before its
    reply is answered as any other.
    """

    def __init__(self, service: Service, request: web.BaseRequest, timeline: Timeline | None = None) -> None:
        self._service, self._request, self._timeline = service, request, timeline
        self._began = service.loop.time()
        self._stream: LegacyStream | None = None

    async def respond(self) -> web.StreamResponse:
        """The response, as 10.x clients read it; a stream was sent already."""
        try:
            return await self._answered()
        except TimeoutError:
            return self._refused(Refusal(Code.DEADLINE, "the deadline passed"))
        except Refusal as refusal:
            return self._refused(refusal)

    async def _answered(self) -> web.StreamResponse:
        service, request = self._service, self._request
        if request.method != "POST":
            raise Refusal(Code.UNKNOWN_SYNAPSE, "not served here")
        claim = read_legacy_claim(request.headers, service.key.ss58_address, service.now())
        service.look(claim.sender)
        body = await read_body(request, service.limits, service.arrivals)
        service.received += len(body)
        hotkey = prove_legacy(claim, service.key.ss58_address)
        self._mark("verified")
        caller = service.enter(hotkey, claim.nonce, request.protocol)
        call = read_legacy_call(request.raw_path, body, claim, service.served, service.limits)
        if self._timeline is not None:
            self._timeline.synapse, self._timeline.peer = call.served.synapse.__name__, hotkey
            self._timeline.mark("admitted")
        with service.deadline(call.deadline):
            async with service.gate.turn(caller):
                self._mark("started")
                return await self._run(call, caller)

    def _mark(self, step: str) -> None:
        if self._timeline is not None:
            self._timeline.mark(step)

    async def _run(self, call: LegacyCall, caller: Caller) -> web.StreamResponse:
        if call.served.streams:
            return await self._streamed(call, caller)
        return await self._service.answer(
            *(call.served, call.synapse, caller),
            lambda reply: legacy_response(call, reply, self._seconds()),
            self._timeline,
        )

    async def _streamed(self, call: LegacyCall, caller: Caller) -> web.StreamResponse:
        service, request = self._service, self._request
        stream = self._stream = LegacyStream(request, call)
        try:
            async with aclosing(call.served.handler(call.synapse, caller)) as items:
                reply = await stream.run(items)
            response = stream.response or legacy_response(call, reply, self._seconds())
        except Refusal:
            raise
        except Exception as error:  # a handler may raise anything; the caller learns only that it failed
            if stream.response is not None and (request.transport is None or request.transport.is_closing()):
                service.ended("cut", self._timeline)
                return stream.response
            raise service.failed(call.served, error) from error
        self._mark("handled")
        service.ended("answered", self._timeline)
        if stream.response is not None:
            service.sent += stream.response.body_length
        return response

    def _refused(self, refusal: Refusal) -> web.StreamResponse:
        self._service.ended(refusal.code.value, self._timeline)
        if self._stream is None or self._stream.response is None:
            return legacy_refusal(refusal)
        self._stream.break_off()
        self._service.sent += self._stream.response.body_length
        return self._stream.response

    def _seconds(self) -> float:
        return self._service.loop.time() - self._began
