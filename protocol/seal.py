"""Sealed bodies: encrypted to a prekey of the receiver, with keys that exist for one request only.

X25519 between the sender's ephemeral key and the prekey, HKDF-SHA256 over the whole transcript, ChaCha20-Poly1305 with
separate keys for request, reply and stream. Who sends and who receives is proven by the btauth signature around the
sealed body; the transcript binds both names, so that a body cannot be moved into another request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ranvier.protocol.codes import Code
from ranvier.protocol.errors import InvalidReply, Refusal

SEAL_PROTOCOL: Final = "ranvier-seal/1"
PUBLIC_SIZE: Final = 32
NONCE_SIZE: Final = 12
_KEY_SIZE: Final = 32
_ONCE: Final = bytes(NONCE_SIZE)
"""The request's key exists for one message."""


class Receiver(Protocol):
    """What sealing needs of a prekey."""

    @property
    def id(self) -> str:
        """As it is named in the query."""
        ...

    @property
    def public(self) -> bytes:
        """32 bytes."""
        ...


@dataclass(frozen=True, slots=True)
class SealContext:
    """What a sealed body is bound to. ``target`` is the path with its query as sent, ``nonce`` that of btauth."""

    sender: str
    receiver: str
    target: str
    nonce: int

    def transcript(self, id: str, prekey: bytes, ephemeral: bytes) -> bytes:
        """Everything that both sides must agree on, as eight lines."""
        names = (self.sender, self.receiver, self.target, str(self.nonce))
        return "\n".join((SEAL_PROTOCOL, *names, id, prekey.hex(), ephemeral.hex())).encode()


class Session:
    """The keys of one request: for its body, for the one reply, for the frames of a stream."""

    def __init__(self, shared: bytes, transcript: bytes) -> None:
        salt = hashlib.sha256(transcript).digest()
        keys = HKDF(SHA256(), 3 * _KEY_SIZE, salt, SEAL_PROTOCOL.encode()).derive(shared)
        self._request, self._reply, self._stream = (
            ChaCha20Poly1305(keys[start : start + _KEY_SIZE]) for start in range(0, len(keys), _KEY_SIZE)
        )
        self._transcript = transcript

    def seal_body(self, body: bytes) -> bytes:
        """The request's body, encrypted."""
        return self._request.encrypt(_ONCE, body, self._transcript)

    def open_body(self, sealed: bytes) -> bytes:
        """The request's body; raises `Refusal`."""
        try:
            return self._request.decrypt(_ONCE, sealed, self._transcript)
        except InvalidTag as error:
            raise Refusal(Code.MALFORMED, "the seal does not open") from error

    def seal_reply(self, content_type: str, digest: bytes, body: bytes) -> bytes:
        """A reply's body, encrypted: 12 bytes of nonce, then the ciphertext."""
        # Random, although only one reply ever travels: one that is thrown away at its deadline has used the key, too.
        nonce = secrets.token_bytes(NONCE_SIZE)
        return nonce + self._reply.encrypt(nonce, body, _reply_data(content_type, digest))

    def open_reply(self, content_type: str, digest: bytes, sealed: bytes) -> bytes:
        """A reply's body; raises `InvalidReply`."""
        try:
            return self._reply.decrypt(
                sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], _reply_data(content_type, digest)
            )
        except (InvalidTag, ValueError) as error:
            raise InvalidReply("the reply's seal does not open") from error

    def seal_frame(self, number: int, line: bytes) -> bytes:
        """A stream's line number ``number``, counted from 0, as base64 text."""
        return base64.b64encode(self._stream.encrypt(number.to_bytes(NONCE_SIZE, "big"), line, None))

    def open_frame(self, number: int, line: bytes) -> bytes:
        """The line; raises `InvalidReply` for one that is altered or out of its place."""
        try:
            sealed = base64.b64decode(line, validate=True)
            return self._stream.decrypt(number.to_bytes(NONCE_SIZE, "big"), sealed, None)
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise InvalidReply("the seal of a stream's frame does not open") from error


def seal_request(
    prekey: Receiver, context: SealContext, body: bytes, *, ephemeral: X25519PrivateKey | None = None
) -> tuple[bytes, Session]:
    """The sealed body (ephemeral public key, ciphertext), and what opens its reply.

    ``ephemeral`` is for test vectors alone. Raises `InvalidReply` for a prekey that agrees on nothing.
    """
    ephemeral = ephemeral or X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes_raw()
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(prekey.public))
    except ValueError as error:
        raise InvalidReply("the prekey is of low order") from error
    session = Session(shared, context.transcript(prekey.id, prekey.public, public))
    return public + session.seal_body(body), session


def open_request(
    private: X25519PrivateKey, id: str, sealed: bytes, context: SealContext
) -> tuple[bytes, Session]:
    """The body that was sealed to the prekey ``id``, and what seals its reply. Raises `Refusal`."""
    public, own = sealed[:PUBLIC_SIZE], private.public_key().public_bytes_raw()
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise Refusal(Code.MALFORMED, "the sealed body has no usable key") from error
    session = Session(shared, context.transcript(id, own, public))
    return session.open_body(sealed[PUBLIC_SIZE:]), session


def _reply_data(content_type: str, digest: bytes) -> bytes:
    return "\n".join((SEAL_PROTOCOL, content_type, digest.hex())).encode()
