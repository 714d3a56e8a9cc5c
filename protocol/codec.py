"""Bodies: models to bytes and back, as the query asks. Sealing and signing come after, and before."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import InvalidReply, Refusal
from ranvier.protocol.frame import read_frame, write_frame
from ranvier.protocol.packing import pack, unpack
from ranvier.protocol.query import Query
from ranvier.protocol.synapse import Synapse
from ranvier.protocol.text import read_text

JSON: Final = "application/json"
FRAME: Final = "application/x-ranvier-frame"
PACKED: Final = "+zlib"
SEALED: Final = "+sealed"

MAX_FAULTS: Final = 256
"""Beyond so many, the first is not named."""

M = TypeVar("M", bound=BaseModel)


class Encoded(NamedTuple):
    """A body and the content type that is signed with it."""

    content_type: str
    body: bytes

    def packed(self) -> Encoded:
        """Compressed, where that pays."""
        smaller = pack(self.body)
        return self if smaller is None else Encoded(self.content_type + PACKED, smaller)


def encode(model: BaseModel, *, binary: bool) -> Encoded:
    """A model as JSON, or as a frame. Raises ValueError for what cannot be written."""
    if binary:
        return Encoded(FRAME, write_frame(model))
    return Encoded(JSON, model.__pydantic_serializer__.to_json(model))


def read_request(synapse: type[Synapse], body: bytes, query: Query, limit: int) -> Synapse:
    """The request's model; ``limit`` caps the unpacked bytes. Raises `Refusal`."""
    try:
        plain = unpack(body, limit) if query.packed else body
        return _read(synapse, plain, binary=query.binary, most=synapse.max_values)
    except ValueError as error:
        raise Refusal(Code.INVALID_REQUEST, fault(error)) from error


def read_reply(synapse: type[Synapse], encoded: Encoded, query: Query, limit: int) -> BaseModel:
    """The reply's model. Raises `InvalidReply` for a body or a content type that was not asked for."""
    form, body = encoded.content_type, encoded.body
    try:
        if form.endswith(PACKED) and query.unpack:
            form, body = form.removesuffix(PACKED), unpack(body, limit)
        if form != (FRAME if query.binary else JSON):
            raise InvalidReply(f"the reply is {form[:64]!r}, which was not asked for")
        reply: type[BaseModel] = synapse.Reply
        return _read(reply, body, binary=query.binary, most=synapse.max_values)
    except ValueError as error:
        raise InvalidReply(f"the reply is not what {synapse.__name__} declares: {fault(error)}") from error


def _read(model: type[M], body: bytes, *, binary: bool, most: int) -> M:
    return read_frame(model, body, most=most) if binary else read_text(model, body, most=most)


def fault(error: ValueError) -> str:
    """The first fault, short, without echoing what was sent."""
    if not isinstance(error, ValidationError):
        return str(error)[:120]
    if error.error_count() > MAX_FAULTS:  # to show one, all would be written out
        return f"{error.error_count()} faults"
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:64]
    return f"{place or 'body'}: {first['msg'][:120]}"
