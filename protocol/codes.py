"""Why a request is refused: stable codes, each with its HTTP status. docs/wire.md documents them."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """A refusal's code as it travels. Clients may rely on these words."""

    MALFORMED = "malformed"
    WRONG_RECEIVER = "wrong-receiver"
    STALE = "stale"
    BAD_SIGNATURE = "bad-signature"
    REPLAYED = "replayed"
    NOT_REGISTERED = "not-registered"
    NO_PERMIT = "no-permit"
    LOW_STAKE = "low-stake"
    DENIED = "denied"
    NOT_READY = "not-ready"
    UNKNOWN_SYNAPSE = "unknown-synapse"
    INVALID_REQUEST = "invalid-request"
    TOO_LARGE = "too-large"
    RATE_LIMITED = "rate-limited"
    BUSY = "busy"
    DEADLINE = "deadline"
    DRAINING = "draining"
    DECLINED = "declined"
    FAILED = "failed"
    UNKNOWN_PREKEY = "unknown-prekey"
    SEAL_REQUIRED = "seal-required"
    UNKNOWN_JOB = "unknown-job"

    @property
    def status(self) -> int:
        """The HTTP status that carries this code."""
        return _STATUS[self]


_STATUS = {
    Code.MALFORMED: 400,
    Code.WRONG_RECEIVER: 401,
    Code.STALE: 401,
    Code.BAD_SIGNATURE: 401,
    Code.REPLAYED: 401,
    Code.NOT_REGISTERED: 403,
    Code.NO_PERMIT: 403,
    Code.LOW_STAKE: 403,
    Code.DENIED: 403,
    Code.NOT_READY: 403,
    Code.UNKNOWN_SYNAPSE: 404,
    Code.INVALID_REQUEST: 422,
    Code.TOO_LARGE: 413,
    Code.RATE_LIMITED: 429,
    Code.BUSY: 429,
    Code.DEADLINE: 408,
    Code.DRAINING: 429,
    Code.DECLINED: 409,
    Code.FAILED: 409,
    Code.UNKNOWN_PREKEY: 409,
    Code.SEAL_REQUIRED: 403,
    Code.UNKNOWN_JOB: 404,
}
