"""Reading a request and writing its response: bytes in and out of an axon."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ValidationError

from ranvier.protocol.btauth import Signed
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.handlers import Served
from ranvier.protocol.keys import Keypair
from ranvier.protocol.limits import Limits
from ranvier.protocol.replies import REPLY_SIGNATURE, sign_reply
from ranvier.protocol.synapse import Synapse

JSON: Final = "application/json"
_MILLISECONDS = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read whole. ``deadline`` is in seconds from now."""

    served: Served
    synapse: Synapse
    deadline: float
    streams: bool


async def read_body(request: web.BaseRequest, limits: Limits) -> bytes:
    """The raw body within its limits of bytes and time. Raises `Refusal`."""
    if "Content-Encoding" in request.headers:
        raise Refusal(Code.MALFORMED, "compressed requests are not accepted")
    if (request.content_length or 0) > limits.max_body:
        raise Refusal(Code.TOO_LARGE, f"at most {limits.max_body} bytes")
    try:
        if request.content.is_eof():  # it came with its head, as most do: nothing to wait for
            return await request.read()
        async with asyncio.timeout(limits.body_timeout):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Refusal(Code.TOO_LARGE, f"at most {limits.max_body} bytes") from error
    except TimeoutError as error:
        raise Refusal(Code.DEADLINE, "the body did not arrive in time") from error
    except web.RequestPayloadError as error:
        raise Refusal(Code.MALFORMED, "the body is not framed as HTTP frames it") from error


def read_call(request: web.BaseRequest, body: bytes, known: Mapping[str, Served], limits: Limits) -> Call:
    """Route, query and model of an admitted request. Raises `Refusal`."""
    served = known.get(request.path)
    if served is None or request.method != "POST":
        raise Refusal(Code.UNKNOWN_SYNAPSE, "not served here")
    text = request.query.get("deadline", "")
    if text and not _MILLISECONDS.fullmatch(text):
        raise Refusal(Code.INVALID_REQUEST, "deadline must be a whole number of milliseconds")
    deadline = int(text) / 1000 if text else limits.default_deadline
    try:
        synapse = served.synapse.model_validate_json(body)
    except ValidationError as error:
        raise Refusal(Code.INVALID_REQUEST, _first(error)) from error
    return Call(served, synapse, min(deadline, limits.max_deadline), request.query.get("mode") == "stream")


def _first(error: ValidationError) -> str:
    """The first fault, short, without echoing what was sent."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in fault["loc"])[:64]
    return f"{place or 'body'}: {fault['msg'][:120]}"


def reply_response(key: Keypair, signed: Signed, reply: BaseModel) -> web.Response:
    """A signed 200."""
    body = reply.__pydantic_serializer__.to_json(reply)
    signature = sign_reply(key, signed.digest, 200, JSON, body)
    return web.Response(body=body, content_type=JSON, headers={REPLY_SIGNATURE: signature})


def refusal_body(refusal: Refusal) -> bytes:
    """A refusal as JSON: its code, at most 200 characters of detail, seconds to wait."""
    return json.dumps(
        {"code": refusal.code.value, "detail": refusal.detail[:200], "retry_after": refusal.retry_after}
    ).encode()


def refusal_response(refusal: Refusal, key: Keypair | None, signed: Signed | None) -> web.Response:
    """A refusal; signed only for a caller that proved itself. Closes connections of those that did not."""
    body = refusal_body(refusal)
    response = web.Response(body=body, status=refusal.code.status, content_type=JSON)
    if key is not None and signed is not None:
        signature = sign_reply(key, signed.digest, refusal.code.status, JSON, body)
        response.headers[REPLY_SIGNATURE] = signature
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = f"{max(1, round(refusal.retry_after))}"
    if refusal.code in (Code.TOO_LARGE, Code.DEADLINE):
        response.force_close()
    return response
