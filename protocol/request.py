"""Reading a request's bytes at an axon, and what a refusal says."""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple

from aiohttp import StreamReader, web

from ranvier.protocol.arrivals import Arrivals
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


async def read_body(request: web.BaseRequest, limits: Limits, arrivals: Arrivals) -> bytes:
    """The raw body within its limits of bytes and time. Raises `Refusal`."""
    if "Content-Encoding" in request.headers:
        raise Refusal(Code.MALFORMED, "bodies are packed as the query says, never by a header")
    if (request.content_length or 0) > limits.max_body:
        raise Refusal(Code.TOO_LARGE, f"at most {limits.max_body} bytes")
    try:
        if request.content.is_eof():  # it came with its head, as most do: nothing to wait for
            body = request.content.read_nowait()
        else:
            body = await _received(request.content, limits, arrivals)
    except web.RequestPayloadError as error:
        raise Refusal(Code.MALFORMED, "the body is not framed as HTTP frames it") from error
    if len(body) > limits.max_body:  # in chunks, that declare no length
        raise Refusal(Code.TOO_LARGE, f"at most {limits.max_body} bytes")
    return body


async def _received(content: StreamReader, limits: Limits, arrivals: Arrivals) -> bytes:
    """The body, or the first of it where it is too long. Raises `Refusal`."""
    clock = asyncio.timeout(limits.body_timeout)

    def leave() -> None:
        if not clock.expired():
            clock.reschedule(asyncio.get_running_loop().time())

    parts, size = list[bytes](), 0
    with arrivals.begin(leave) as arrival:
        try:
            async with clock:
                while size <= limits.max_body and not content.at_eof() and not arrival.given_way:
                    parts.append(await content.readany())
                    size += len(parts[-1])
                    arrival.reached(size)
        except TimeoutError as error:
            if not arrival.given_way:
                raise Refusal(Code.DEADLINE, "the body did not arrive in time") from error
    if arrival.given_way:
        raise Refusal(Code.BUSY, "too many large bodies at once: this one came slowest", retry_after=2.0)
    return b"".join(parts)


def refusal_body(refusal: Refusal) -> bytes:
    """A refusal as JSON: its code, at most 200 characters of detail, seconds to wait."""
    return json.dumps(
        {"code": refusal.code.value, "detail": refusal.detail[:200], "retry_after": refusal.retry_after}
    ).encode()
