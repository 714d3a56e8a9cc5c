"""Prekeys: short-lived X25519 keys that a hotkey signs, so that a body can be sealed to whoever holds it."""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ranvier.protocol.btauth import MAX_AGE_NS, MAX_SKEW_NS
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import InvalidReply, Refusal
from ranvier.protocol.keys import Keypair, sign, signature_holds
from ranvier.protocol.seal import SealContext, Session, open_request

PREKEY_ROUTE: Final = "/-/prekey"
PREKEY_PROTOCOL: Final = "ranvier-prekey/1"
MAX_LIFE_NS: Final = 7_200_000_000_000
"""A prekey that claims to live longer is refused: forward secrecy begins only when it is erased."""
MARGIN_NS: Final = 15_000_000_000
"""A cached prekey is not used so near its end."""
_SECOND: Final = 1_000_000_000


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hotkey: str
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    public: str = Field(pattern=r"^[0-9a-f]{64}$")
    expires: int = Field(gt=0)
    signature: str = Field(pattern=r"^0x[0-9a-f]{128}$")


@dataclass(frozen=True, slots=True)
class Prekey:
    """The public half as its owner signed it. ``expires`` is nanoseconds since 1970."""

    hotkey: str
    id: str
    public: bytes
    expires: int
    signature: bytes

    def payload(self) -> bytes:
        """The signed bytes: five lines."""
        return prekey_payload(self.hotkey, self.id, self.public, self.expires)

    def to_json(self) -> bytes:
        """The document that anybody may fetch."""
        content = {
            "hotkey": self.hotkey,
            "id": self.id,
            "public": self.public.hex(),
            "expires": self.expires,
            "signature": "0x" + self.signature.hex(),
        }
        return json.dumps(content).encode()

    @classmethod
    def read(cls, body: bytes, hotkey: str, now: int) -> Self:
        """A document, believed only if ``hotkey`` signed it and it is in its time. Raises `InvalidReply`."""
        try:
            found = _Document.model_validate_json(body)
        except ValidationError as error:
            raise InvalidReply("the prekey is not written as one") from error
        if found.hotkey != hotkey:
            raise InvalidReply("the prekey is of another hotkey")
        if not now < found.expires <= now + MAX_LIFE_NS:
            raise InvalidReply("the prekey has expired, or claims to live too long")
        public, signature = bytes.fromhex(found.public), bytes.fromhex(found.signature[2:])
        prekey = cls(hotkey, found.id, public, found.expires, signature)
        if not signature_holds(prekey.payload(), signature, hotkey):
            raise InvalidReply("the prekey is not signed by the miner that was asked")
        return prekey


def prekey_payload(hotkey: str, id: str, public: bytes, expires: int) -> bytes:
    """The bytes that a prekey's owner signs."""
    return "\n".join((PREKEY_PROTOCOL, hotkey, id, public.hex(), str(expires))).encode()


class PrekeyRing:
    """The receiver's prekeys: one is published, the one before stays openable until it expires, older ones are gone.

    ``life`` is for how many seconds one is published, ``overlap`` for how long after that it may still be used. One
    signature is made for each, whoever asks for it and how often.
    """

    def __init__(
        self, key: Keypair, *, now: Callable[[], int], life: float = 600.0, overlap: float = 60.0
    ) -> None:
        self._key, self._now = key, now
        self._life, self._overlap = int(life * _SECOND), int(overlap * _SECOND)
        self._private: dict[str, tuple[int, X25519PrivateKey]] = {}
        self._current: Prekey | None = None
        self.rotations = 0
        """How many prekeys were made."""

    def current(self) -> Prekey:
        """The prekey to publish now. Raises `SigningError`."""
        now = self._now()
        self._erase(now)
        current = self._current
        if current is None or not 0 <= current.expires - self._overlap - now <= self._life:
            current = self._current = self._make(now)
        return current

    def open(self, id: str, body: bytes, context: SealContext) -> tuple[bytes, Session]:
        """A sealed body, opened, and what seals its reply. Raises `Refusal`."""
        self._erase(self._now())
        held = self._private.get(id)
        if held is None:
            raise Refusal(Code.UNKNOWN_PREKEY, "no such prekey here: fetch the present one")
        return open_request(held[1], id, body, context)

    def _make(self, now: int) -> Prekey:
        private, id = X25519PrivateKey.generate(), secrets.token_hex(16)
        public, expires = private.public_key().public_bytes_raw(), now + self._life + self._overlap
        signature = sign(self._key, prekey_payload(self._key.ss58_address, id, public, expires))
        self._private[id] = expires, private
        self.rotations += 1
        return Prekey(self._key.ss58_address, id, public, expires, signature)

    def _erase(self, now: int) -> None:
        # A request that was sealed in time may be on its way for as long as it is fresh.
        gone = [id for id, (end, _) in self._private.items() if end + MAX_AGE_NS + MAX_SKEW_NS < now]
        for id in gone:
            del self._private[id]


class PrekeyCache:
    """The sender's memory of prekeys, by hotkey; bounded, least recently used out first."""

    def __init__(self, *, now: Callable[[], int], capacity: int = 4096) -> None:
        self._now, self._capacity = now, capacity
        self._held: OrderedDict[str, Prekey] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, hotkey: str) -> Prekey | None:
        """The prekey of ``hotkey``, if one is held that lives for a while yet."""
        prekey = self._held.get(hotkey)
        if prekey is None or prekey.expires - MARGIN_NS <= self._now():
            self._held.pop(hotkey, None)
            return None
        self._held.move_to_end(hotkey)
        return prekey

    def put(self, prekey: Prekey) -> None:
        """Remember it."""
        self._held[prekey.hotkey] = prekey
        self._held.move_to_end(prekey.hotkey)
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)

    def forget(self, hotkey: str) -> None:
        """Its owner does not know it any more."""
        self._held.pop(hotkey, None)
