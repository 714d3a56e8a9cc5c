"""Prekeys: short-lived X25519 keys that a hotkey signs, so that a body can be sealed to whoever holds it."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ranvier.protocol.btauth import MAX_AGE_NS, MAX_SKEW_NS
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import InvalidReply, Refusal
from ranvier.protocol.keys import Keypair, sign, signature_holds
from ranvier.protocol.seal import SealContext, Session, open_request

PREKEY_ROUTE: Final = "/-/prekey"
PREKEY_PROTOCOL: Final = "ranvier-prekey/1"
MAX_DOCUMENT: Final = 512
"""Bytes of a prekey's document; a true one has 361."""
MAX_LIFE_NS: Final = 7_200_000_000_000
"""A prekey that claims to live longer is refused: forward secrecy begins only when it is erased."""
MARGIN_NS: Final = 15_000_000_000
"""A cached prekey is not used so near its end."""
GRACE_NS: Final = MAX_AGE_NS + MAX_SKEW_NS
"""How long a private half outlives its prekey: a request that was sealed in time is fresh for so long."""
_BEAT: Final = 10.0
"""Seconds between two looks at what is to be erased."""
_SECOND: Final = 1_000_000_000
_DOCUMENT: Final = re.compile(
    rb'\{"hotkey": "([1-9A-HJ-NP-Za-km-z]{1,63})", "id": "([0-9a-f]{32})", "public": "([0-9a-f]{64})", '
    rb'"expires": ([1-9][0-9]{0,18}), "signature": "0x([0-9a-f]{128})"\}'
)
"""The one spelling that is read: what is signed leaves no room for another."""


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
        """The document that anybody may fetch; it is read in exactly this spelling."""
        return (
            f'{{"hotkey": "{self.hotkey}", "id": "{self.id}", "public": "{self.public.hex()}", '
            f'"expires": {self.expires}, "signature": "0x{self.signature.hex()}"}}'
        ).encode()

    @classmethod
    def read(cls, body: bytes, hotkey: str, now: int) -> Self:
        """A document, believed only if ``hotkey`` signed it and it is in its time. Raises `InvalidReply`."""
        found = _DOCUMENT.fullmatch(body)
        if found is None:
            raise InvalidReply("the prekey is not written as one")
        owner, id, public, expires, signature = (part.decode() for part in found.groups())
        if owner != hotkey:
            raise InvalidReply("the prekey is of another hotkey")
        if not now < int(expires) <= now + MAX_LIFE_NS:
            raise InvalidReply("the prekey has expired, or claims to live too long")
        prekey = cls(hotkey, id, bytes.fromhex(public), int(expires), bytes.fromhex(signature))
        if not signature_holds(prekey.payload(), prekey.signature, hotkey):
            raise InvalidReply("the prekey is not signed by the miner that was asked")
        return prekey


def prekey_payload(hotkey: str, id: str, public: bytes, expires: int) -> bytes:
    """The bytes that a prekey's owner signs."""
    return "\n".join((PREKEY_PROTOCOL, hotkey, id, public.hex(), str(expires))).encode()


def sign_prekey(key: Keypair, private: X25519PrivateKey, id: str, expires: int) -> Prekey:
    """The public half of ``private``, signed. Raises `SigningError`."""
    public = private.public_key().public_bytes_raw()
    signature = sign(key, prekey_payload(key.ss58_address, id, public, expires))
    return Prekey(key.ss58_address, id, public, expires, signature)


class _Held(NamedTuple):
    expires: int
    private: X25519PrivateKey


class PrekeyRing:
    """The receiver's prekeys: one is published, the one before stays openable until it expires, older ones are gone.

    ``life`` is for how many seconds one is published, ``overlap`` for how long after that it may still be used. One
    signature is made for each, whoever asks for it and how often. Raises ValueError for times that no caller takes.
    """

    def __init__(
        self, key: Keypair, *, now: Callable[[], int], life: float = 600.0, overlap: float = 60.0
    ) -> None:
        self._key, self._now = key, now
        self._life, self._overlap = int(life * _SECOND), int(overlap * _SECOND)
        if self._life <= 0 or self._overlap < MARGIN_NS or self._life + self._overlap > MAX_LIFE_NS:
            raise ValueError(
                f"a prekey's life of {life} s and overlap of {overlap} s: life must be above 0, overlap at least "
                f"{MARGIN_NS // _SECOND} (callers use none so near its end), both at most {MAX_LIFE_NS // _SECOND}"
            )
        self._held: dict[str, _Held] = {}
        self._current: Prekey | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.rotations = 0
        """How many prekeys were made."""

    def __len__(self) -> int:
        """How many private halves are in memory."""
        return len(self._held)

    def current(self) -> Prekey:
        """The prekey to publish now. Raises `SigningError`."""
        self.erase()
        current, now = self._current, self._now()
        if current is None or current.id not in self._held or current.expires - self._overlap <= now:
            current = self._current = self._make(now)
        return current

    def open(self, id: str, body: bytes, context: SealContext) -> tuple[bytes, Session]:
        """A sealed body, opened, and what seals its reply. Raises `Refusal`."""
        self.erase()
        held = self._held.get(id)
        if held is None:
            raise Refusal(Code.UNKNOWN_PREKEY, "no such prekey here: fetch the present one")
        return open_request(held.private, id, body, context)

    def erase(self) -> None:
        """Forget the private halves whose time is over, or was never: a clock that stepped back prolongs none."""
        now = self._now()
        longest = self._life + self._overlap + MAX_SKEW_NS
        gone = [id for id, held in self._held.items() if not -GRACE_NS <= held.expires - now <= longest]
        for id in gone:
            del self._held[id]

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on erase in time, also while nobody asks."""
        self._loop = loop
        self._set_timer()

    def close(self) -> None:
        """Erase everything now: what was sealed to it can be opened by nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop = self._timer = self._current = None
        self._held.clear()

    def _make(self, now: int) -> Prekey:
        private = X25519PrivateKey.generate()
        expires = now + self._life + self._overlap
        prekey = sign_prekey(self._key, private, secrets.token_hex(16), expires)
        self._held[prekey.id] = _Held(expires, private)
        self.rotations += 1
        self._set_timer()
        return prekey

    def _set_timer(self) -> None:
        if self._loop is None or self._timer is not None or not self._held:
            return
        # A steady beat, not a time computed from the wall clock: a loop in simulated time must stay repeatable.
        self._timer = self._loop.call_later(_BEAT, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.erase()
        self._set_timer()


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
        if prekey is None or not MARGIN_NS < prekey.expires - self._now() <= MAX_LIFE_NS:
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
