"""Calls that wait for the next block. Held in memory: nothing here was acknowledged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pydantic import ValidationError

from ranvier.chain.calls import Call, decode_call
from ranvier.chain.errors import CallRefused
from ranvier.chain.signed import LONGEST_LIFE, SignedCall

MOST_WAITING = 4096
MOST_PER_SIGNER = 64
MOST_PER_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that passed the pool's checks."""

    hash: str
    signer: str
    valid_until: int
    call: Call
    signed: SignedCall | None = None
    """As it came, to be kept for a replay."""


@dataclass
class Pool:
    """Checks calls that need no state (signature, life, size, room) and keeps them in order of arrival."""

    genesis: str
    _calls: dict[str, Waiting] = field(default_factory=dict)
    _signers: Counter[str] = field(default_factory=Counter)

    def __contains__(self, call_hash: str) -> bool:
        return call_hash in self._calls

    def check(self, signed: SignedCall, block: int) -> Waiting:
        """The call, if it may enter after `block`. Raises `CallRefused` with the pool's error name."""
        if signed.valid_until <= block:
            _refuse("AncientBirthBlock", f"valid until block {signed.valid_until}, now {block}; sign it anew")
        if signed.valid_until > block + LONGEST_LIFE:
            _refuse("MortalityTooLong", f"a call may live {LONGEST_LIFE} blocks; sign it with a nearer end")
        if not signed.holds(self.genesis):
            _refuse(
                "BadProof", f"the signature is not {signed.signer}'s for this chain ({self.genesis[:18]})"
            )
        try:
            call = decode_call(signed.call.encode())
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise CallRefused("MalformedCall", f"{place}: {first['msg']}", "call") from error
        return Waiting(signed.hash(self.genesis), signed.signer, signed.valid_until, call, signed)

    def add(self, waiting: Waiting) -> None:
        """Let a checked call wait; one that waits already stays as it is."""
        if waiting.hash in self._calls:
            return
        if len(self._calls) >= MOST_WAITING or self._signers[waiting.signer] >= MOST_PER_SIGNER:
            raise CallRefused(
                "ImmediatelyDropped", "too many calls wait; try after a block", waiting.call.call
            )
        self._calls[waiting.hash] = waiting
        self._signers[waiting.signer] += 1

    def first(self) -> list[Waiting]:
        """The calls of the next block."""
        return list(self._calls.values())[:MOST_PER_BLOCK]

    def remove(self, calls: list[Waiting]) -> None:
        """Take out calls that a block settled."""
        for waiting in calls:
            if self._calls.pop(waiting.hash, None) is not None:
                self._signers[waiting.signer] -= 1
                if not self._signers[waiting.signer]:
                    del self._signers[waiting.signer]


def _refuse(name: str, message: str) -> None:
    raise CallRefused(name, message, "call")
