"""Refusals of both shapes, at the pool and in a block, as one error under the chain's own name."""

from __future__ import annotations

from typing import Any

from ranvier.chain.errors import CallRefused
from ranvier.chain.remedies import remedy


def refusal(result: Any, call: str) -> CallRefused:
    """From a failed ``ExtrinsicResult``: whether the pool or a block said no is told by its block."""
    return from_error(
        result.error, result.message, call, where="in a block" if result.block_hash else "at the pool"
    )


def from_error(error: Any, message: str, call: str, *, where: str) -> CallRefused:
    """From the SDK's ``ChainError``; one without a name is called by its code."""
    name = getattr(error, "name", None)
    code = getattr(getattr(error, "code", None), "name", "UNKNOWN")
    text = " ".join(str(message).split()) or "no reason was given"
    advice = remedy(name or "") or str(getattr(error, "remediation", "") or "")
    return CallRefused(name or code, f"{text} (refused {where})", call, advice)
