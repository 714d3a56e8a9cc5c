"""Sealed bodies: encrypted to a prekey of the receiver, with keys that exist for one request only.

X25519 between the sender's ephemeral key and the prekey, HKDF-SHA256 over the whole transcript, ChaCha20-Poly1305 with
separate keys for request, reply and stream. Who sends and who receives is proven by the btauth signature around the
sealed body; the transcript binds both names, so that a body cannot be moved into another request. docs/seal.md
specifies every byte.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

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
TAG_SIZE: Final = 16
_KEY_SIZE: Final = 32
_ONCE: Final = bytes(NONCE_SIZE)
"""The request's key encrypts one message, so its nonce may stand."""


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
    """What one sealed request leaves to both sides: the keys for its reply and for the frames of its stream."""

    def __init__(self, reply_key: bytes, stream_key: bytes) -> None:
        self._reply, self._stream = ChaCha20Poly1305(reply_key), ChaCha20Poly1305(stream_key)
        self._frames = 0

    def seal_reply(self, content_type: str, digest: bytes, body: bytes) -> bytes:
        """A reply's body, encrypted: 12 bytes of nonce, then the ciphertext.

        ``content_type`` is the one on the wire, ``digest`` that of the request.
        """
        # Random, although only one reply ever travels: one that is thrown away at its deadline has used the key, too.
        return self._sealed_reply(secrets.token_bytes(NONCE_SIZE), content_type, digest, body)

    def open_reply(self, content_type: str, digest: bytes, sealed: bytes) -> bytes:
        """A reply's body; raises `InvalidReply`."""
        nonce, ciphertext = sealed[:NONCE_SIZE], memoryview(sealed)[NONCE_SIZE:]
        try:
            return self._reply.decrypt(nonce, ciphertext, _reply_data(content_type, digest))
        except (InvalidTag, ValueError) as error:
            raise InvalidReply("the reply's seal does not open") from error

    def seal_frame(self, number: int, line: bytes) -> bytes:
        """A stream's line number ``number``, counted from 0, as base64 text.

        Raises ValueError for a number out of turn: two lines under one number would give away both.
        """
        if number != self._frames:
            raise ValueError(f"frame {self._frames} is the next to be sealed, not {number}")
        self._frames += 1
        return base64.b64encode(self._stream.encrypt(_frame_nonce(number), line, None))

    def open_frame(self, number: int, line: bytes) -> bytes:
        """The line; raises `InvalidReply` for one that is altered or out of its place."""
        try:
            sealed = base64.b64decode(line, validate=True)
            # Base64 has spare bits at its end: one spelling is right, others would pass for the same bytes.
            if base64.b64encode(sealed) != line:
                raise InvalidReply("a stream's sealed frame is not canonical base64")
            return self._stream.decrypt(_frame_nonce(number), sealed, None)
        except (InvalidTag, binascii.Error) as error:
            raise InvalidReply("the seal of a stream's frame does not open") from error

    def _sealed_reply(self, nonce: bytes, content_type: str, digest: bytes, body: bytes) -> bytes:
        """With a chosen ``nonce``, for test vectors: one that comes twice gives away both bodies."""
        return nonce + self._reply.encrypt(nonce, body, _reply_data(content_type, digest))


def seal_request(
    prekey: Receiver, context: SealContext, body: bytes, *, ephemeral: X25519PrivateKey | None = None
) -> tuple[bytes, Session]:
    """The sealed body (ephemeral public key, ciphertext), and what opens its reply.

    ``ephemeral`` is for test vectors alone. Raises `InvalidReply` for a prekey that agrees on nothing.
    """
    ephemeral = ephemeral or X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes_raw()
    try:
        secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(prekey.public))
    except ValueError as error:  # an all-zero secret: everybody would know it
        raise InvalidReply("the prekey is of low order, or no key at all") from error
    transcript = context.transcript(prekey.id, prekey.public, public)
    keys = _Keys.agree(secret, transcript)
    return public + ChaCha20Poly1305(keys.request).encrypt(_ONCE, body, transcript), keys.session()


def open_request(
    private: X25519PrivateKey, id: str, sealed: bytes, context: SealContext
) -> tuple[bytes, Session]:
    """The body that was sealed to the prekey ``id``, and what seals its reply. Raises `Refusal`."""
    public, own = bytes(sealed[:PUBLIC_SIZE]), private.public_key().public_bytes_raw()
    try:
        secret = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise Refusal(Code.MALFORMED, "the sealed body has no usable key") from error
    transcript = context.transcript(id, own, public)
    keys = _Keys.agree(secret, transcript)
    try:
        body = ChaCha20Poly1305(keys.request).decrypt(_ONCE, memoryview(sealed)[PUBLIC_SIZE:], transcript)
    except InvalidTag as error:
        raise Refusal(Code.MALFORMED, "the seal does not open") from error
    return body, keys.session()


class _Keys(NamedTuple):
    """One key for each thing that is encrypted, so that none can be taken for another."""

    request: bytes
    reply: bytes
    stream: bytes

    @classmethod
    def agree(cls, secret: bytes, transcript: bytes) -> _Keys:
        salt = hashlib.sha256(transcript).digest()
        keys = HKDF(SHA256(), 3 * _KEY_SIZE, salt, SEAL_PROTOCOL.encode()).derive(secret)
        return cls(*(keys[start : start + _KEY_SIZE] for start in range(0, len(keys), _KEY_SIZE)))

    def session(self) -> Session:
        return Session(self.reply, self.stream)


def _frame_nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_SIZE, "big")


def _reply_data(content_type: str, digest: bytes) -> bytes:
    return "\n".join((SEAL_PROTOCOL, content_type, digest.hex())).encode()
