"""btauth/1: a request proven to be sent by a hotkey, to a hotkey, with exactly this body, recently.

The payload is the official SDK's, byte for byte. Parsing is stricter than the SDK's: one canonical spelling for each
header, sr25519 only. docs/wire.md lists the differences.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal
from ranvier.protocol.keys import Keypair, is_address, sign, signature_holds

PROTOCOL: Final = "btauth/1"
SCHEME: Final = "sr25519"
MAX_AGE_NS: Final = 10_000_000_000
MAX_SKEW_NS: Final = 2_000_000_000

VERSION_HEADER: Final = "X-Bittensor-Version"
HOTKEY_HEADER: Final = "X-Bittensor-Hotkey"
RECEIVER_HEADER: Final = "X-Bittensor-Receiver"
NONCE_HEADER: Final = "X-Bittensor-Nonce"
CRYPTO_HEADER: Final = "X-Bittensor-Crypto"
SIGNATURE_HEADER: Final = "X-Bittensor-Signature"

_NONCE = re.compile(r"[1-9][0-9]{0,19}", re.ASCII)
_SIGNATURE = re.compile(r"0x[0-9a-f]{128}", re.ASCII)


class Claim(NamedTuple):
    """What the headers of a request claim; nothing of it is proven yet. ``nonce`` is nanoseconds since 1970."""

    sender: str
    receiver: str
    nonce: int
    signature: bytes


class Signed(NamedTuple):
    """A proven request. ``digest`` is the SHA-256 of its payload; replies and streams hang on it."""

    hotkey: str
    nonce: int
    digest: bytes


def payload(method: str, target: str, body: bytes, nonce: int, sender: str, receiver: str) -> bytes:
    """The signed bytes: eight lines; ``target`` is the path with its query exactly as sent."""
    body_hash = hashlib.sha256(body).hexdigest()
    lines = (PROTOCOL, SCHEME, method.upper(), target, body_hash, str(nonce), sender, receiver)
    return "\n".join(lines).encode()


def sign_request(
    key: Keypair, method: str, target: str, body: bytes, receiver: str, nonce: int
) -> tuple[dict[str, str], bytes]:
    """The headers of a request of ours, and its digest. Raises `SigningError`."""
    message = payload(method, target, body, nonce, key.ss58_address, receiver)
    headers = {
        VERSION_HEADER: "1",
        HOTKEY_HEADER: key.ss58_address,
        NONCE_HEADER: str(nonce),
        RECEIVER_HEADER: receiver,
        SIGNATURE_HEADER: "0x" + sign(key, message).hex(),
    }
    return headers, hashlib.sha256(message).digest()


def read_claim(headers: Mapping[str, str], receiver: str, now: int) -> Claim:
    """Read the headers and check what needs no cryptography: shape, receiver, freshness. Raises `Refusal`."""
    sender, nonce = headers.get(HOTKEY_HEADER, ""), headers.get(NONCE_HEADER, "")
    signature = headers.get(SIGNATURE_HEADER, "")
    if headers.get(VERSION_HEADER) != "1" or headers.get(CRYPTO_HEADER, SCHEME) != SCHEME:
        raise Refusal(Code.MALFORMED, "btauth/1 with sr25519 is required")
    if not (_NONCE.fullmatch(nonce) and _SIGNATURE.fullmatch(signature) and len(sender) < 64):
        raise Refusal(Code.MALFORMED, "an auth header is missing or not canonical")
    if headers.get(RECEIVER_HEADER) != receiver:
        raise Refusal(Code.WRONG_RECEIVER, "signed for another hotkey")
    age = now - int(nonce)
    if not -MAX_SKEW_NS <= age <= MAX_AGE_NS:
        raise Refusal(Code.STALE, f"clock differs by {age / 1e9:.1f} s")
    return Claim(sender, receiver, int(nonce), bytes.fromhex(signature[2:]))


def prove(claim: Claim, method: str, target: str, body: bytes) -> Signed:
    """Check the signature of a claim against what arrived. Raises `Refusal`."""
    if not is_address(claim.sender):
        raise Refusal(Code.MALFORMED, "the sender is no address")
    message = payload(method, target, body, claim.nonce, claim.sender, claim.receiver)
    if not signature_holds(message, claim.signature, claim.sender):
        raise Refusal(Code.BAD_SIGNATURE, "the signature does not hold")
    return Signed(claim.sender, claim.nonce, hashlib.sha256(message).digest())
