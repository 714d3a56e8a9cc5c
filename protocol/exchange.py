"""One request of our own wire at an axon: from its headers to its signed response."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from ranvier.protocol.btauth import Signed, prove, read_claim
from ranvier.protocol.caller import Caller
from ranvier.protocol.codec import JSON, SEALED, Encoded, encode, read_request
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.handlers import Served, as_reply
from ranvier.protocol.job import JOB_ROUTE, JobPoll
from ranvier.protocol.query import Mode, Query
from ranvier.protocol.replies import REPLY_SIGNATURE, sign_reply
from ranvier.protocol.request import Call, read_body, refusal_body
from ranvier.protocol.seal import SealContext, Session
from ranvier.protocol.service import JobResult, Service
from ranvier.protocol.streams import StreamWriter
from ranvier.protocol.text import read_text
from ranvier.protocol.timeline import Timeline

LAST_FRAMES: Final = 2.0
"""Seconds for the refusal that ends a stream."""


class Exchange:
    """Authenticate, admit, read, run, sign: in this order, and nothing of a later step before an earlier one held."""

    def __init__(self, service: Service, request: web.BaseRequest, timeline: Timeline | None = None) -> None:
        self._service, self._request, self._timeline = service, request, timeline
        self._signed: Signed | None = None
        self._session: Session | None = None
        self._query = Query()

    async def respond(self) -> web.StreamResponse:
        """The response: an answer, a stream that was sent already, or a refusal."""
        request, service = self._request, self._service
        try:
            claim = read_claim(request.headers, service.key.ss58_address, service.now())
            service.look(claim.sender)
            body = await read_body(request, service.limits, service.arrivals)
            service.received += len(body)
            signed = self._signed = prove(claim, request.method, request.raw_path, body)
            self._mark("verified")
            caller = service.enter(signed.hotkey, signed.nonce, request.protocol)
            return await self._admitted(signed, caller, body)
        except Refusal as refusal:
            service.ended(refusal.code.value, self._timeline)
            return self._refused(refusal)

    def _mark(self, step: str) -> None:
        if self._timeline is not None:
            self._timeline.mark(step)

    async def _admitted(self, signed: Signed, caller: Caller, body: bytes) -> web.StreamResponse:
        path, _, query = self._request.raw_path.partition("?")
        served = self._service.served.get(path)
        if self._request.method != "POST" or (served is None and path != JOB_ROUTE):
            raise Refusal(Code.UNKNOWN_SYNAPSE, "not served here")
        self._query = Query.read(query)
        plain = self._opened(signed, body)
        if served is None:
            return await self._poll(signed, caller, plain)
        call = self._call(served, plain)
        if self._timeline is not None:
            self._timeline.synapse, self._timeline.peer = served.synapse.__name__, signed.hotkey
            self._timeline.mark("admitted")
        if self._query.mode is Mode.JOB:
            return self._start(signed, caller, call)
        try:
            with self._service.deadline(call.deadline) as deadline:
                async with self._service.gate.turn(caller):
                    self._mark("started")
                    if self._query.mode is Mode.STREAM:
                        deadline.lift()  # from its head on, only the stream itself can say that it is late
                        return await self._stream(signed, caller, call, deadline.when)
                    return await self._service.answer(
                        *(call.served, call.synapse, caller, partial(self._reply, signed)),
                        self._timeline,
                    )
        except TimeoutError as error:
            raise Refusal(Code.DEADLINE, "the deadline passed") from error

    def _opened(self, signed: Signed, body: bytes) -> bytes:
        """The body as its sender meant it; raises `Refusal` for a seal that does not open, or is missing."""
        service = self._service
        if self._query.seal is None:
            if service.seal_required:
                raise Refusal(Code.SEAL_REQUIRED, "sealed bodies only: fetch the prekey")
            return body
        context = SealContext(signed.hotkey, service.key.ss58_address, self._request.raw_path, signed.nonce)
        plain, self._session = service.prekeys.open(self._query.seal, body, context)
        return plain

    def _call(self, served: Served, body: bytes) -> Call:
        limits, query = self._service.limits, self._query
        deadline = query.deadline / 1000 if query.deadline is not None else limits.default_deadline
        longest = limits.max_job_deadline if query.mode is Mode.JOB else limits.max_deadline
        return Call(
            served, read_request(served.synapse, body, query, limits.max_body), min(deadline, longest)
        )

    def _reply(self, signed: Signed, reply: BaseModel) -> web.Response:
        return self._respond(signed, 200, encode(reply, binary=self._query.binary))

    def _respond(self, signed: Signed, status: int, encoded: Encoded) -> web.Response:
        """Packed or sealed as the query asks, signed."""
        if self._query.unpack:
            encoded = encoded.packed()
        form, body = encoded.content_type, encoded.body
        if self._session is not None:
            form += SEALED
            body = self._session.seal_reply(form, signed.digest, body)
        signature = sign_reply(self._service.key, signed.digest, status, form, body)
        headers = {REPLY_SIGNATURE: signature, "Content-Type": form}
        return web.Response(body=body, status=status, headers=headers)

    def _refused(self, refusal: Refusal) -> web.Response:
        """Signed for a caller that proved itself, and for no other; sealed once its seal was opened."""
        body = refusal_body(refusal)
        if self._signed is not None:
            response = self._respond(self._signed, refusal.code.status, Encoded(JSON, body))
        else:
            response = web.Response(body=body, status=refusal.code.status, content_type=JSON)
        if refusal.retry_after is not None:
            response.headers["Retry-After"] = f"{max(1, round(refusal.retry_after))}"
        if refusal.code in (Code.TOO_LARGE, Code.DEADLINE):
            response.force_close()
        return response

    def _start(self, signed: Signed, caller: Caller, call: Call) -> web.Response:
        """A long job begins; its id is the digest of this request, so its caller knows it in any case."""
        job = signed.digest.hex()
        sealed = self._session is not None
        self._service.jobs.start(job, caller.hotkey, partial(self._work, caller, call, sealed=sealed))
        return self._state(signed, job, "running")

    async def _work(self, caller: Caller, call: Call, *, sealed: bool) -> JobResult:
        shape: Callable[[BaseModel], Encoded] = partial(encode, binary=self._query.binary)
        with self._service.timelines.job(call.served.synapse.__name__, caller.hotkey) as timeline:
            try:
                async with asyncio.timeout(call.deadline), self._service.job_gate.turn(caller):
                    if timeline is not None:
                        timeline.mark("started")
                    encoded = await self._service.answer(call.served, call.synapse, caller, shape, timeline)
                    return JobResult(encoded, sealed)
            except TimeoutError as error:
                raise Refusal(Code.DEADLINE, "the deadline passed") from error

    async def _poll(self, signed: Signed, caller: Caller, body: bytes) -> web.Response:
        try:
            asked = read_text(JobPoll, body)
        except ValueError as error:
            raise Refusal(
                Code.INVALID_REQUEST, "a poll is a job's id, what to wait, whether to cancel"
            ) from error
        if asked.cancel:
            self._service.jobs.cancel(asked.job, caller.hotkey)
            return self._state(signed, asked.job, "cancelled")
        result = await self._service.jobs.wait(asked.job, caller.hotkey, asked.wait / 1000)
        if result is None:
            return self._state(signed, asked.job, "running")
        if result.sealed and self._session is None:
            raise Refusal(Code.SEAL_REQUIRED, "the job was asked for under a seal: so must its result be")
        if self._timeline is not None:
            self._timeline.ending = "job read"
        return self._respond(signed, 200, result.encoded)

    def _state(self, signed: Signed, job: str, state: str) -> web.Response:
        if self._timeline is not None:
            self._timeline.ending = f"job {state}"
        return self._respond(signed, 202, Encoded(JSON, json.dumps({"job": job, "state": state}).encode()))

    async def _stream(self, signed: Signed, caller: Caller, call: Call, ends: float) -> web.StreamResponse:
        service, request = self._service, self._request
        writer = StreamWriter(service.key, signed, self._session)
        refusal: Refusal | None = None
        response = await writer.open(request)
        try:
            async with asyncio.timeout_at(ends) as clock:
                await _pieces(writer, caller, call)
        except Refusal as refused:
            refusal = refused
        except Exception as error:  # noqa: BLE001  a handler may raise anything; the caller learns only that it failed
            if clock.expired():
                refusal = Refusal(Code.DEADLINE, "the deadline passed")
            elif request.transport is not None and not request.transport.is_closing():
                refusal = service.failed(call.served, error)
        # The stream has begun, so a refusal is its last frame.
        if refusal is not None:
            await _end(request, writer, refusal)
        self._mark("handled")
        service.ended(writer.ending, self._timeline)
        service.sent += response.body_length
        return response


async def _pieces(writer: StreamWriter, caller: Caller, call: Call) -> None:
    served = call.served
    if not served.streams:
        await writer.write(as_reply(await served.handler(call.synapse, caller)))
        return
    async with aclosing(served.handler(call.synapse, caller)) as items:
        async for item in items:
            if not isinstance(item, str):
                await writer.write(as_reply(item))
                return
            await writer.write(item)
    as_reply(None)


async def _end(request: web.BaseRequest, writer: StreamWriter, refusal: Refusal) -> None:
    """Send the last frames to a caller that may have stopped reading; it must not hold its turn for ever."""
    try:
        async with asyncio.timeout(LAST_FRAMES):
            await writer.refuse(refusal)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
