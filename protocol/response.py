"""What came back to a dendrite, and what may be believed of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final, NamedTuple, Self

from ranvier.protocol.caller import Target
from ranvier.protocol.codec import SEALED, Encoded, read_reply
from ranvier.protocol.connection import Incoming
from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.message import Message
from ranvier.protocol.outcome import Answered, Invalid, Outcome, Refused
from ranvier.protocol.query import Query
from ranvier.protocol.replies import REPLY_SIGNATURE, check_reply
from ranvier.protocol.room import Room
from ranvier.protocol.streams import StreamReader
from ranvier.protocol.synapse import Synapse
from ranvier.protocol.text import read_values

_SIGNATURE: Final = REPLY_SIGNATURE.lower()
MAX_REFUSAL: Final = 4096
"""Bytes of a refusal that are read; ours are a few hundred."""
MAX_WAIT: Final = 3600.0
"""Seconds that a refusal may ask to wait; more is taken for no answer."""


class Response(NamedTuple):
    """A response that was read whole, within its cap. Nothing of it is believed yet."""

    status: int
    content_type: str
    signature: str | None
    body: bytes

    @classmethod
    async def read(cls, incoming: Incoming, limit: int, room: Room) -> Self:
        """Raises `InvalidReply` beyond ``limit`` bytes: bytes on the wire are bytes in memory."""
        headers = incoming.headers
        if "content-encoding" in headers:
            raise InvalidReply("the reply is compressed by a header, which nobody signs")
        body = await incoming.read(limit if incoming.status in (200, 202) else MAX_REFUSAL, room)
        return cls(incoming.status, content_type(incoming), headers.get(_SIGNATURE), body)

    def check(self, target: Target, message: Message) -> None:
        """Raise `InvalidReply` unless ``target`` signed exactly this to exactly that request."""
        check_reply(self.signature, message.digest, target.hotkey, self.status, self.content_type, self.body)

    def opened(self, message: Message) -> Encoded:
        """The body, out of its seal. Raises `InvalidReply` where a sealed request was answered in clear."""
        if message.session is None:
            return Encoded(self.content_type, self.body)
        if not self.content_type.endswith(SEALED):
            raise InvalidReply("a sealed request was answered in clear")
        plain = message.session.open_reply(self.content_type, message.digest, self.body)
        return Encoded(self.content_type.removesuffix(SEALED), plain)


def content_type(incoming: Incoming) -> str:
    """Without its parameters."""
    return incoming.headers.get("content-type", "").partition(";")[0].rstrip()


def answer(
    target: Target,
    elapsed: float,
    synapse: type[Synapse],
    message: Message,
    response: Response,
    query: Query,
    limit: int,
) -> Outcome[Any]:
    """What a whole response means; ``query`` says how its reply was asked for, ``limit`` caps its unpacked bytes.

    Raises `InvalidReply`.
    """
    if response.status != 200:
        return refused(target, elapsed, message, response)
    response.check(target, message)
    reply = read_reply(synapse, response.opened(message), query, limit)
    return Answered(target, elapsed, reply, len(response.body))


def refused(target: Target, elapsed: float, message: Message, response: Response) -> Refused | Invalid:
    """What a refusal says; one without a code is no refusal, and one without a signature is not proven."""
    if response.status < 400:
        return Invalid(target, elapsed, f"status {response.status} is neither an answer nor a refusal")
    try:
        response.check(target, message)
        proven = True
    except InvalidReply:
        proven = False
    body = response.body
    if proven and response.content_type.endswith(SEALED):
        body = response.opened(message).body
    try:
        content = read_values(body, special=True)
        code, detail = str(content["code"])[:40], str(content.get("detail", ""))[:200]
        retry_after = _seconds(content.get("retry_after"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Invalid(target, elapsed, f"status {response.status} without a refusal's code")
    return Refused(target, elapsed, code, detail, retry_after, proven)


def _seconds(wait: object) -> float | None:
    """A peer's ``retry_after``, where it is a time that a caller can wait: zero to `MAX_WAIT`."""
    fits = isinstance(wait, int | float) and not isinstance(wait, bool) and 0 <= wait <= MAX_WAIT
    return float(wait) if fits else None  # type: ignore[arg-type]


def streamed(
    target: Target, elapsed: float, synapse: type[Synapse], reader: StreamReader, size: int, limit: int
) -> Outcome[Any]:
    """What a stream that has ended means. Raises `InvalidReply` for one that was cut."""
    if not reader.finished:
        raise InvalidReply("the stream was cut short")
    if reader.refusal is not None:
        code, detail = str(reader.refusal.get("code"))[:40], str(reader.refusal.get("detail", ""))[:200]
        return Refused(target, elapsed, code, detail, proven=True)
    try:
        body = json.dumps(reader.reply).encode()
    except RecursionError as error:
        raise InvalidReply("the reply is nested too deeply") from error
    reply = read_reply(synapse, Encoded("application/json", body), Query(), limit)
    return Answered(target, elapsed, reply, size)


def with_partial(outcome: Outcome[Any], text: str) -> Outcome[Any]:
    """The outcome with the text that came before it; an answer needs none."""
    return outcome if isinstance(outcome, Answered) or not text else replace(outcome, partial=text)


async def lines(incoming: Incoming, limit: int) -> AsyncIterator[bytes]:
    """Lines without their ends; at most ``limit`` bytes together. Raises `InvalidReply`."""
    held: list[bytes] = []
    size = 0
    async for part in incoming.parts():
        size += len(part)
        if size > limit:
            raise InvalidReply(f"the stream is longer than {limit} bytes")
        # Parts of an unfinished line are joined once: a drip of single bytes must not cost their square.
        first, *rest = part.split(b"\n")
        held.append(first)
        for following in rest:
            yield b"".join(held)
            held = [following]
    if any(held):
        raise InvalidReply("the stream was cut short")
