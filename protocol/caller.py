"""Who calls, and what the chain says of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """A hotkey's place on the subnet. ``stake`` is in rao."""

    uid: int
    stake: int
    validator_permit: bool


@dataclass(frozen=True, slots=True)
class Caller:
    """The verified sender of a request. ``uid`` is None for a hotkey that is not on the subnet."""

    hotkey: str
    uid: int | None = None
    stake: int = 0
    validator_permit: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call and where."""

    hotkey: str
    host: str
    port: int
