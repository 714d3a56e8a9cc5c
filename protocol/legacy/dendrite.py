"""One request of ours on the 10.x wire, from its first byte to an outcome that nothing proves."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from ranvier.protocol.caller import Target
from ranvier.protocol.codec import fault
from ranvier.protocol.connection import Incoming
from ranvier.protocol.errors import InvalidReply, ProtocolError
from ranvier.protocol.legacy.client import legacy_outcome
from ranvier.protocol.legacy.signing import AXON
from ranvier.protocol.outcome import Answered, Invalid, Outcome
from ranvier.protocol.response import Response, content_type
from ranvier.protocol.room import Room
from ranvier.protocol.synapse import Synapse

STREAM_TYPE: Final = "text/event-stream"
"""What every stream of that wire is called; what is in it is the synapse's own affair."""


class SynapseUnfit(ProtocolError):
    """A synapse whose reply cannot be made from a 10.x stream, which is text and nothing else."""

    def __init__(self, synapse: type[Synapse]) -> None:
        self.synapse = synapse
        super().__init__(
            f"the reply of {synapse.__name__} cannot be made from a 10.x stream, which is only text: give it exactly "
            "one required field, of type str, and the others defaults"
        )


def text_field(synapse: type[Synapse]) -> str:
    """The reply's field that takes a stream's text. Raises `SynapseUnfit`."""
    reply: type[BaseModel] = synapse.Reply
    required = [name for name, field in reply.model_fields.items() if field.is_required()]
    if len(required) != 1 or reply.model_fields[required[0]].annotation is not str:
        raise SynapseUnfit(synapse)
    return required[0]


async def legacy_exchange(
    sent: AbstractAsyncContextManager[Incoming],
    target: Target,
    request: Synapse,
    limit: int,
    room: Room,
    take: Callable[[str], None] | None,
) -> Outcome[Any]:
    """Read what comes back to a request that is ``sent``; ``take`` gets the text of a stream as it comes.

    Raises `InvalidReply` for what cannot be read, and for a stream where ``take`` is None.
    """
    clock = asyncio.get_running_loop().time
    started = clock()
    async with sent as response:
        shown = response.headers.get(f"{AXON}status_code", "200")
        if (response.status, shown, content_type(response)) != (200, "200", STREAM_TYPE):
            found = await Response.read(response, limit, room)
            elapsed = clock() - started
            return legacy_outcome(target, elapsed, request, response.status, response.headers, found.body)
        if take is None:
            raise InvalidReply("the axon streams this synapse: ask with stream_legacy")
        pieces = []
        async for piece in _text(response, limit):
            take(piece)
            pieces.append(piece)
    return _streamed(target, clock() - started, type(request), "".join(pieces))


async def _text(response: Incoming, limit: int) -> AsyncIterator[str]:
    """The text as it comes, letters whole. Raises `InvalidReply`."""
    if "content-encoding" in response.headers:
        raise InvalidReply("the stream is compressed, which was not asked for")
    if not response.framed:
        raise InvalidReply("the stream's end cannot be told: it would be that of the connection")
    decoder, size = codecs.getincrementaldecoder("utf-8")(), 0
    try:
        async for part in response.parts():
            size += len(part)
            if size > limit:
                raise InvalidReply(f"the stream is longer than {limit} bytes")
            if piece := decoder.decode(part):
                yield piece
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InvalidReply("the stream is not UTF-8") from error


def _streamed(target: Target, elapsed: float, synapse: type[Synapse], text: str) -> Outcome[Any]:
    try:
        reply = synapse.Reply.model_validate({text_field(synapse): text})
    except ValidationError as error:
        reason = f"the text is not what {synapse.__name__} declares: {fault(error)}"
        return Invalid(target, elapsed, reason)
    return Answered(target, elapsed, reply, len(text.encode()), proven=False)
