"""Locked rows of weights: sealed to a block's key, which the chain lets out with that block. Stands for drand.

On Subtensor chains a row is locked to a round of the drand beacon, whose keepers hold shares of its secret. A
local chain is its own beacon: a secret is drawn where its folder begins and lies in that folder only (in no genesis,
checkpoint or state hash). From it comes an X25519 key for every block; the public half can be asked for at any time,
the private one from its block on. So callers cannot read a row early; who runs the chain could. A chain restored from
a checkpoint opens the rows that were locked before only where its keeper brings the secret along from the old folder.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ranvier.chain.calls.weights import CommitSealed, CommitTimelocked, SetWeights
from ranvier.chain.errors import CallRefused, NotFound

MOST_SEALED: Final = 5000
"""Bytes of a sealed row, as on Subtensor chains: 1236 uids."""
_KEY: Final = 32
_VERSION_KEY: Final = 8
_NONCE: Final = bytes(12)
"""Never used twice with one key: each sealing draws a key pair of its own."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """A chain's keys by block, hex; rows promised up to block `since` were sealed to another chain's."""

    secret: bytes = field(repr=False)
    since: int = 0

    @classmethod
    def drawn(cls, since: int) -> Pulse:
        """New keys, from block `since` on."""
        return cls(secrets.token_bytes(_KEY), since)

    def fits(self, mark: str) -> bool:
        """Whether a `mark` is of these keys."""
        return self.mark() == mark

    def mark(self) -> str:
        """A public key of which no row can be opened: names these keys without telling any of them."""
        return self.public(-1)

    def private(self, block: int) -> str:
        """Opens what is sealed to `block`; to be told from that block on only."""
        return hmac.digest(self.secret, f"ranvier-pulse/1\n{block}".encode(), hashlib.sha256).hex()

    def public(self, block: int) -> str:
        """Seals to `block`."""
        pair = X25519PrivateKey.from_private_bytes(bytes.fromhex(self.private(block)))
        return pair.public_key().public_bytes_raw().hex()


@dataclass(frozen=True, slots=True)
class Lock:
    """What a row is sealed to: the block that opens it, and that block's public key."""

    round: int
    public_key: str


def seal_row(call: CommitTimelocked, hotkey: str, lock: Lock) -> CommitSealed:
    """Seal a row so that it opens for this hotkey and subnet only. Raises ValueError for one that is too long."""
    pair = X25519PrivateKey.generate()
    own = pair.public_key().public_bytes_raw()
    theirs = bytes.fromhex(lock.public_key)
    key = _key(pair.exchange(X25519PublicKey.from_public_bytes(theirs)), own, theirs)
    about = _about(call.netuid, hotkey, lock.round)
    sealed = own + ChaCha20Poly1305(key).encrypt(_NONCE, _written(call), about)
    if len(sealed) > MOST_SEALED:
        raise ValueError(f"{len(call.uids)} weights make {len(sealed)} bytes; {MOST_SEALED} can be sealed")
    return CommitSealed(call.netuid, sealed.hex(), lock.round)


async def sealed(call: CommitTimelocked, hotkey: str, ask: Callable[[int], Awaitable[Lock]]) -> CommitSealed:
    """As `seal_row`, for clients, with the lock that they `ask` for by netuid.

    Raises `CallRefused`, before anything is sent, for a row that cannot be sealed or a subnet that is not there.
    """
    try:
        return seal_row(call, hotkey, await ask(call.netuid))
    except NotFound as error:
        raise CallRefused("SubNetworkDoesNotExist", str(error), call.call) from error
    except ValueError as error:
        raise CallRefused(
            "InputLengthsUnequal", f"{error} (refused before it was sent)", call.call
        ) from error


def open_row(sealed: str, private: str, netuid: int, hotkey: str, block: int) -> SetWeights | None:
    """The row sealed to `block`; None where it is none, or was sealed by another hotkey or for another place."""
    data, pair = bytes.fromhex(sealed), X25519PrivateKey.from_private_bytes(bytes.fromhex(private))
    theirs, own = data[:_KEY], pair.public_key().public_bytes_raw()
    try:
        key = _key(pair.exchange(X25519PublicKey.from_public_bytes(theirs)), theirs, own)
        plain = ChaCha20Poly1305(key).decrypt(_NONCE, data[_KEY:], _about(netuid, hotkey, block))
    except (InvalidTag, ValueError):  # ValueError: a public key of low order, or too few bytes
        return None
    return _read(plain, netuid)


def _key(shared: bytes, sender: bytes, receiver: bytes) -> bytes:
    return HKDF(SHA256(), _KEY, salt=None, info=b"ranvier-locked-row/1" + sender + receiver).derive(shared)


def _about(netuid: int, hotkey: str, block: int) -> bytes:
    return f"{netuid}\n{hotkey}\n{block}".encode()


def _written(call: CommitTimelocked) -> bytes:
    if len(call.uids) != len(call.values):
        raise ValueError(f"{len(call.uids)} uids have {len(call.values)} weights; give each uid one")
    return call.version_key.to_bytes(_VERSION_KEY, "little") + _u16s((*call.uids, *call.values))


def _read(plain: bytes, netuid: int) -> SetWeights | None:
    numbers = plain[_VERSION_KEY:]
    if len(plain) < _VERSION_KEY or len(numbers) % 4:
        return None
    row = [int.from_bytes(numbers[place : place + 2], "little") for place in range(0, len(numbers), 2)]
    half = len(row) // 2
    return SetWeights(
        netuid, tuple(row[:half]), tuple(row[half:]), int.from_bytes(plain[:_VERSION_KEY], "little")
    )


def _u16s(values: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)
