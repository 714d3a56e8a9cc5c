"""One request of the 10.x wire at an axon: the same order of checks as on our own wire."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.legacy.server import (
    legacy_refusal,
    legacy_response,
    prove_legacy,
    read_legacy_call,
    read_legacy_claim,
)
from ranvier.protocol.request import read_body
from ranvier.protocol.service import Service


class LegacyExchange:
    """Authenticate, admit, read, run: nothing is signed, because that wire's callers check nothing."""

    def __init__(self, service: Service, request: web.BaseRequest) -> None:
        self._service, self._request = service, request

    async def respond(self) -> web.StreamResponse:
        """The response, as 10.x clients read it."""
        try:
            return await self._answered()
        except TimeoutError:
            return self._refused(Refusal(Code.DEADLINE, "the deadline passed"))
        except Refusal as refusal:
            return self._refused(refusal)

    async def _answered(self) -> web.Response:
        service, request = self._service, self._request
        if request.method != "POST":
            raise Refusal(Code.UNKNOWN_SYNAPSE, "not served here")
        claim = read_legacy_claim(request.headers, service.key.ss58_address, service.now())
        body = await read_body(request, service.limits)
        service.received += len(body)
        caller = service.enter(prove_legacy(claim, service.key.ss58_address), claim.nonce)
        call, content = read_legacy_call(request.path, body, claim, service.served, service.limits)
        async with asyncio.timeout(call.deadline), service.gate.turn(caller):
            return await service.answer(
                call.served, call.synapse, caller, lambda reply: legacy_response(call, content, reply)
            )

    def _refused(self, refusal: Refusal) -> web.Response:
        self._service.endings[refusal.code.value] += 1
        return legacy_refusal(refusal)
