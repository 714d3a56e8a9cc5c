"""What came of a request: one of five, never an exception for what the peer did.

``partial`` is the text of a stream that came before it went wrong: kept, but proven by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from ranvier.protocol.caller import Target

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Answered(Generic[R]):
    """A signed reply of the declared shape. ``elapsed`` is in seconds, ``size`` in bytes of body as they travelled.

    ``proven`` is false for replies of the 10.x wire, that nobody signs: whoever answers at the address wrote it.
    """

    target: Target
    elapsed: float
    reply: R
    size: int
    proven: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer turned the request away. ``proven`` is false where the refusal came unsigned."""

    target: Target
    elapsed: float
    code: str
    detail: str = ""
    retry_after: float | None = None
    proven: bool = False
    partial: str = ""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nothing whole arrived before the deadline."""

    target: Target
    elapsed: float
    partial: str = ""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection, or an address that the policy refuses."""

    target: Target
    elapsed: float
    reason: str
    partial: str = ""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Something arrived that cannot be believed or read."""

    target: Target
    elapsed: float
    reason: str
    partial: str = ""


Outcome = Answered[R] | Refused | TimedOut | Unreachable | Invalid
