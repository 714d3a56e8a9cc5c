"""The signed query of a request: how long it may take, how its answer comes, how bodies are written.

Everything that a caller and an axon agree on stands here, because the query is signed and headers are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self

from pydantic import BaseModel

from ranvier.protocol.buffers import carries_buffers
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.synapse import Synapse

_FORMS: Final = {
    "deadline": re.compile(r"[1-9][0-9]{0,8}", re.ASCII),
    "mode": re.compile("stream|job"),
    "codec": re.compile("binary"),
    "packed": re.compile("zlib"),
    "unpack": re.compile("zlib"),
    "seal": re.compile(r"[0-9a-f]{32}", re.ASCII),
}


class Mode(StrEnum):
    """How an answer comes."""

    REPLY = "reply"
    STREAM = "stream"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Query:
    """What a request's query says; the defaults are what an empty one means."""

    deadline: int | None = None
    """Milliseconds."""
    mode: Mode = Mode.REPLY
    binary: bool = False
    """Bodies are frames, in both directions."""
    packed: bool = False
    """The request's body is zlib."""
    unpack: bool = False
    """The caller takes a zlib reply."""
    seal: str | None = None
    """The id of the prekey that the body is sealed to."""

    def text(self) -> str:
        """As it is written behind the path, with its question mark."""
        return _text(self)

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises `Refusal` for an unknown or repeated name and for any value but the documented ones.

        Strict, so that an axon never quietly leaves out what its caller asked for.
        """
        return _read(text)  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def _text(query: Query) -> str:
    pairs = (
        ("deadline", query.deadline),
        ("mode", None if query.mode is Mode.REPLY else query.mode.value),
        ("codec", "binary" if query.binary else None),
        ("packed", "zlib" if query.packed else None),
        ("unpack", "zlib" if query.unpack else None),
        ("seal", query.seal),
    )
    written = "&".join(f"{name}={value}" for name, value in pairs if value is not None)
    return f"?{written}" if written else ""


@lru_cache(maxsize=4096)
def _read(text: str) -> Query:
    found: dict[str, str] = {}
    for pair in text.split("&") if text else ():
        name, _, value = pair.partition("=")
        if name not in _FORMS or name in found:
            raise Refusal(Code.INVALID_REQUEST, "a parameter is not known here, or is repeated")
        if not _FORMS[name].fullmatch(value):
            raise Refusal(Code.INVALID_REQUEST, f"{name} has no such value")
        found[name] = value
    if "packed" in found and "seal" in found:
        raise Refusal(
            Code.INVALID_REQUEST, "sealed bodies are not packed: their size would tell what is in them"
        )
    return Query(
        deadline=int(found["deadline"]) if "deadline" in found else None,
        mode=Mode(found.get("mode", "reply")),
        binary="codec" in found,
        packed="packed" in found,
        unpack="unpack" in found and "seal" not in found,
        seal=found.get("seal"),
    )


@lru_cache(maxsize=1024)
def _of(synapse: type[Synapse], deadline: int, mode: Mode) -> Query:
    reply: type[BaseModel] = synapse.Reply
    return Query(deadline=deadline, mode=mode, binary=carries_buffers(synapse) or carries_buffers(reply))


def query_of(synapse: type[Synapse], seconds: float, mode: Mode = Mode.REPLY) -> Query:
    """How a request of this synapse is asked, with so many seconds of time; in frames where one declares a buffer."""
    return _of(synapse, max(1, int(seconds * 1000)), mode)
