"""The hash behind a commitment of weights, as the runtime computes it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bittensor_core import Keypair


def commit_hash(
    hotkey: str,
    netuid: int,
    uids: Sequence[int],
    values: Sequence[int],
    salt: Sequence[int],
    version_key: int = 0,
) -> str:
    """0x and 64 hex digits: BLAKE2b-256 over the SCALE encoding of the six, in this order.

    Uids, values and salt are u16; a fresh salt of eight values hides rows that could be guessed.
    """
    encoded = Keypair(ss58_address=hotkey).public_key + _u16(netuid)
    encoded += b"".join(_vector(part) for part in (uids, values, salt))
    encoded += version_key.to_bytes(8, "little")
    return "0x" + hashlib.blake2b(encoded, digest_size=32).hexdigest()


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _vector(values: Sequence[int]) -> bytes:
    return _compact(len(values)) + b"".join(_u16(value) for value in values)


def _compact(length: int) -> bytes:
    """SCALE's compact length, up to 2**30."""
    if length < 1 << 6:
        return (length << 2).to_bytes(1, "little")
    if length < 1 << 14:
        return (length << 2 | 1).to_bytes(2, "little")
    return (length << 2 | 2).to_bytes(4, "little")
