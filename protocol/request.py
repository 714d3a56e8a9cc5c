"""Reading a request's bytes at an axon, and what a refusal says."""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple

from aiohttp import web

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.handlers import Served
from ranvier.protocol.limits import Limits
from ranvier.protocol.synapse import Synapse


class Call(NamedTuple):
    """A request that was read whole. ``deadline`` is in seconds from now."""

    served: Served
    synapse: Synapse
    deadline: float


async def read_body(request: web.BaseRequest, limits: Limits) -> bytes:
    """The raw body within its limits of bytes and time. Raises `Refusal`."""
    if "Content-Encoding" in request.headers:
        raise Refusal(Code.MALFORMED, "bodies are packed as the query says, never by a header")
    if (request.content_length or 0) > limits.max_body:
        raise Refusal(Code.TOO_LARGE, f"at most {limits.max_body} bytes")
    try:
        if request.content.is_eof():  # it came with its head, as most do: nothing to wait for
            body = request.content.read_nowait()
        else:
            async with asyncio.timeout(limits.body_timeout):
                body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Refusal(Code.TOO_LARGE, f"at most {limits.max_body} bytes") from error
    except TimeoutError as error:
        raise Refusal(Code.DEADLINE, "the body did not arrive in time") from error
    except web.RequestPayloadError as error:
        raise Refusal(Code.MALFORMED, "the body is not framed as HTTP frames it") from error
    if len(body) > limits.max_body:  # in chunks, that declare no length
        raise Refusal(Code.TOO_LARGE, f"at most {limits.max_body} bytes")
    return body


def refusal_body(refusal: Refusal) -> bytes:
    """A refusal as JSON: its code, at most 200 characters of detail, seconds to wait."""
    return json.dumps(
        {"code": refusal.code.value, "detail": refusal.detail[:200], "retry_after": refusal.retry_after}
    ).encode()
