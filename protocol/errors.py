"""The protocol's errors.

ProtocolError
    SigningError          a key cannot sign or a signature cannot be made
    Refusal               a request is turned away at the door; carries a stable code
    InvalidReply          a reply cannot be believed or read
    HandlerUnfit          a handler cannot be served
    ReplayStateUnusable   the file that remembers accepted nonces is damaged
"""

from __future__ import annotations

from pathlib import Path

from ranvier.protocol.codes import Code


class ProtocolError(Exception):
    """Base of everything that `ranvier.protocol` raises."""


class SigningError(ProtocolError):
    """A key that cannot sign was given where a signature is needed."""


class Refusal(ProtocolError):
    """A request is turned away. ``retry_after`` is in seconds, for codes that pass with time."""

    def __init__(self, code: Code, detail: str = "", retry_after: float | None = None) -> None:
        self.code, self.detail, self.retry_after = code, detail, retry_after
        super().__init__(f"{code.value}: {detail}" if detail else code.value)


class InvalidReply(ProtocolError):
    """A reply breaks the protocol: unsigned, wrongly signed, too large, or not what the synapse declares."""


class HandlerUnfit(ProtocolError):
    """A handler cannot be called with (request, caller), is a class, ended its thread, or hid a coroutine."""


class ReplayStateUnusable(ProtocolError):
    """The file that keeps the ceiling of accepted nonces is damaged; without it old requests could be replayed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"the nonce file {path} is damaged. Move it away and start again after 20 seconds: by then every "
            "request that it guarded against is too old to be accepted."
        )
