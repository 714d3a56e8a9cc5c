"""Refusals of both shapes, at the pool and in a block, as one error under the chain's own name.

The SDK reports everything that went wrong with a call as a failed result: also a connection that was lost after the
call was sent, or a pool that stopped watching it. Those are no refusals, for the call may be carried out all the same.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ranvier.chain.errors import CallRefused, ChainError, OutcomeUnknown
from ranvier.chain.remedies import remedy

POOL_MESSAGES: Final = ("Invalid Transaction", "Verification Error", "Extrinsic has invalid format")
"""How a node's pool begins when it turns a call away (JSON-RPC codes 1010, 1002 and 1001)."""
STILL_POSSIBLE: Final = frozenset(
    {"AlreadyImported", "Dropped", "FinalityTimeout", "Invalid", "Retracted", "Usurped"}
)
"""What a pool says of a call that it, or another node, had taken already."""
_CUSTOM: Final = re.compile(r"custom error: *(\d+)", re.IGNORECASE)


def failure(result: Any, call: str) -> ChainError:
    """From a failed ``ExtrinsicResult``: `CallRefused` only where the chain certainly will not carry it out."""
    error, message = result.error, str(result.message)
    if result.block_hash:
        return from_error(error, message, call, where="in a block")
    name = getattr(error, "name", None)
    if name not in STILL_POSSIBLE and (name or message.startswith(POOL_MESSAGES)):
        return from_error(error, message, call, where="at the pool")
    return OutcomeUnknown(call, _line(message))


def from_error(error: Any, message: str, call: str, *, where: str) -> CallRefused:
    """From the SDK's ``ChainError``; one without a name is called by its number at the pool, or by its kind."""
    name = getattr(error, "name", None)
    kind = getattr(getattr(error, "code", None), "name", "UNKNOWN")
    number = _CUSTOM.search(message)
    advice = remedy(name or "") or str(getattr(error, "remediation", "") or "")
    return CallRefused(
        name or (f"Custom{number[1]}" if number else kind),
        f"{_line(message)} (refused {where})",
        call,
        advice,
    )


def _line(message: str) -> str:
    return " ".join(message.split()) or "no reason was given"
