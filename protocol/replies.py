"""Signed replies: a domain line of their own, bound to the digest of the request that they answer."""

from __future__ import annotations

import hashlib
from typing import Final

from ranvier.protocol.errors import InvalidReply
from ranvier.protocol.keys import Keypair, sign, signature_holds

REPLY_PROTOCOL: Final = "ranvier-reply/1"
STREAM_PROTOCOL: Final = "ranvier-stream/1"
REPLY_SIGNATURE: Final = "X-Ranvier-Signature"


def reply_payload(digest: bytes, hotkey: str, status: int, content_type: str, body: bytes) -> bytes:
    """The signed bytes of a reply: six lines."""
    body_hash = hashlib.sha256(body).hexdigest()
    return "\n".join((REPLY_PROTOCOL, digest.hex(), hotkey, str(status), content_type, body_hash)).encode()


def stream_payload(digest: bytes, hotkey: str, chain: bytes) -> bytes:
    """The signed bytes of a stream's trailer: ``chain`` is the hash over all frames before it."""
    return "\n".join((STREAM_PROTOCOL, digest.hex(), hotkey, chain.hex())).encode()


def sign_reply(key: Keypair, digest: bytes, status: int, content_type: str, body: bytes) -> str:
    """The value of the `REPLY_SIGNATURE` header."""
    return "0x" + sign(key, reply_payload(digest, key.ss58_address, status, content_type, body)).hex()


def check_reply(
    signature: str | None, digest: bytes, hotkey: str, status: int, content_type: str, body: bytes
) -> None:
    """Raise `InvalidReply` unless ``hotkey`` signed exactly this reply to exactly this request."""
    check(signature, reply_payload(digest, hotkey, status, content_type, body), hotkey)


def check(signature: str | None, message: bytes, hotkey: str) -> None:
    """Raise `InvalidReply` unless ``signature`` (0x-hex) is ``hotkey``'s over ``message``."""
    if signature is None:
        raise InvalidReply("the reply is not signed")
    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
    except ValueError as error:
        raise InvalidReply("the reply's signature is not hexadecimal") from error
    if not signature_holds(message, raw, hotkey):
        raise InvalidReply("the reply is not signed by the miner that was asked")


class FrameChain:
    """The running hash of a stream: starts at the request's digest, takes in every frame as sent."""

    def __init__(self, digest: bytes) -> None:
        self.value = digest

    def add(self, frame: bytes) -> None:
        """Take in one frame's bytes, without the line end."""
        self.value = hashlib.sha256(self.value + frame).digest()
