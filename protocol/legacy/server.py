"""A 10.x request at our axon: read strictly, proven before anything is kept, answered as that wire expects it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ranvier.protocol.btauth import MAX_AGE_NS, MAX_SKEW_NS
from ranvier.protocol.caller import Caller
from ranvier.protocol.codec import fault
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.handlers import Served
from ranvier.protocol.keys import is_address, signature_holds
from ranvier.protocol.legacy.signing import AXON, BODY_HASH, DENDRITE, OLDEST, body_hash, message
from ranvier.protocol.legacy.values import read_values
from ranvier.protocol.limits import Limits
from ranvier.protocol.synapse import Reply, Synapse
from ranvier.protocol.text import read_values as read_json

_DIGITS = re.compile(r"[1-9][0-9]{0,19}", re.ASCII)
_SIGNATURE = re.compile(r"0x[0-9a-f]{128}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SESSION = re.compile(r"[0-9a-zA-Z-]{0,64}", re.ASCII)
ENVELOPE: Final = frozenset(
    {"name", "timeout", "total_size", "header_size", "dendrite", "axon", BODY_HASH, "required_hash_fields"}
)
"""Members of a 10.x body that are not the synapse's own."""


@dataclass(frozen=True, slots=True)
class LegacyClaim:
    """What the headers claim. ``wait`` is the caller's time-out in seconds: unsigned, so it only ever shortens."""

    sender: str
    session: str
    nonce: int
    signature: bytes
    body_hash: str
    wait: float | None


@dataclass(frozen=True, slots=True)
class LegacyCall:
    """A request that was read whole.

    ``deadline`` is in seconds from now. ``envelope`` is what an answer gives back of the body: nobody's word, and only
    for its sender. ``torch`` tells how tensors of the answer are named.
    """

    served: Served
    synapse: Synapse
    deadline: float
    envelope: dict[str, Any]
    torch: bool


def is_legacy(headers: Mapping[str, str]) -> bool:
    """Whether a request is of the 10.x wire."""
    return f"{DENDRITE}hotkey" in headers


def read_legacy_claim(headers: Mapping[str, str], receiver: str, now: int) -> LegacyClaim:
    """Check what needs no cryptography: shape, receiver, version, freshness. Raises `Refusal`.

    Fresh means what it means on our own wire: the original lets an unsigned header stretch the time without end.
    """
    found = {
        name: headers.get(f"{DENDRITE}{name}", "")
        for name in ("hotkey", "nonce", "uuid", "signature", "version")
    }
    hashed, wait = headers.get(BODY_HASH, ""), headers.get("timeout", "")
    shaped = (
        (_DIGITS, found["nonce"]), (_SIGNATURE, found["signature"]), (_HASH, hashed), (_SESSION, found["uuid"]),
    )  # fmt: skip
    if not all(pattern.fullmatch(text) for pattern, text in shaped) or len(found["hotkey"]) >= 64:
        raise Refusal(Code.MALFORMED, "a bt_header is missing or not canonical")
    if not _DIGITS.fullmatch(found["version"]) or int(found["version"]) < OLDEST:
        raise Refusal(Code.MALFORMED, "the caller's version is too old")
    if headers.get(f"{AXON}hotkey") != receiver:
        raise Refusal(Code.WRONG_RECEIVER, "meant for another hotkey")
    age = now - int(found["nonce"])
    if not -MAX_SKEW_NS <= age <= MAX_AGE_NS:
        raise Refusal(Code.STALE, f"clock differs by {age / 1e9:.1f} s")
    seconds = float(wait) if _SECONDS.fullmatch(wait) else None
    signature = bytes.fromhex(found["signature"][2:])
    return LegacyClaim(found["hotkey"], found["uuid"], int(found["nonce"]), signature, hashed, seconds)


def prove_legacy(claim: LegacyClaim, receiver: str) -> str:
    """The caller's hotkey, proven. Raises `Refusal`."""
    if not is_address(claim.sender):
        raise Refusal(Code.MALFORMED, "the sender is no address")
    signed = message(str(claim.nonce), claim.sender, receiver, claim.session, claim.body_hash)
    if not signature_holds(signed, claim.signature, claim.sender):
        raise Refusal(Code.BAD_SIGNATURE, "the signature does not hold")
    return claim.sender


def read_legacy_call(
    path: str, body: bytes, claim: LegacyClaim, known: Mapping[str, Served], limits: Limits
) -> LegacyCall:
    """The call of a proven caller. Raises `Refusal`.

    Of the body only the request's own fields are read: what it says of its sender is nobody's word.
    """
    served = known.get(path) or (_PING if path == Synapse.route() else None)
    if served is None:
        raise Refusal(Code.UNKNOWN_SYNAPSE, "not served here")
    try:
        content = read_json(body, most=served.synapse.max_values)
        synapse, torch = read_values(served.synapse, content if isinstance(content, dict) else {})
        hashed = body_hash(synapse, torch=bool(torch))
    except ValueError as error:
        raise Refusal(Code.INVALID_REQUEST, fault(error)) from error
    if not isinstance(content, dict):
        raise Refusal(Code.INVALID_REQUEST, "the body is not an object")
    if hashed != claim.body_hash:
        raise Refusal(Code.BAD_SIGNATURE, "the body is not the one that was signed")
    wait = claim.wait if claim.wait is not None else limits.default_deadline
    deadline = min(max(wait, 0.001), limits.max_deadline)
    envelope = {name: content[name] for name in ENVELOPE if name in content}
    named = served.synapse.legacy_torch if torch is None else torch
    return LegacyCall(served, synapse, deadline, envelope, named)


async def _ping(request: Synapse, caller: Caller) -> Reply:
    return Reply()


_PING: Final = Served(Synapse, _ping, streams=False)
"""Every axon of that wire answers its base class: validators ask so whether a neuron is there."""
