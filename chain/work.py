"""Proof of work for a place on a subnet: what is hashed, what is enough, and the search for it."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

from bittensor_core import decode_ss58, pow_mine_cpu
from Crypto.Hash import keccak

Era = Literal["2024", "y2"]
LIFE: Final[dict[str, int]] = {"2024": 2, "y2": 5}
"""Blocks for which work on a block's hash is accepted, by era."""
_DOMAIN: Final = b"subtensor-pow-register-v1"
_MOST: Final = 2**256
_WORDS: Final = 2**64


def challenge(era: Era, netuid: int, block_hash: str, hotkey: str, coldkey: str) -> bytes:
    """What work is done on: by the rules of 2024 Keccak of block and hotkey, by those of 2026 all that it is for."""
    block, hot, cold = bytes.fromhex(block_hash[2:]), bytes(decode_ss58(hotkey)), bytes(decode_ss58(coldkey))
    if era == "2024":
        return _keccak(block + hot)
    return _DOMAIN + netuid.to_bytes(2, "little") + block + hot + cold


def seal(era: Era, given: bytes, nonce: int) -> bytes:
    """32 bytes: Keccak-256 of SHA-256 of challenge and nonce (little-endian, in front by the rules of 2024)."""
    number = nonce.to_bytes(8, "little")
    return _keccak(hashlib.sha256(number + given if era == "2024" else given + number).digest())


def is_enough(era: Era, work: bytes, difficulty: int) -> bool:
    """Whether work, as a number (big-endian by the rules of 2024), times the difficulty stays below 2**256."""
    return int.from_bytes(work, "big" if era == "2024" else "little") * difficulty < _MOST


def search(era: Era, given: bytes, difficulty: int, start: int, attempts: int) -> tuple[int, bytes] | None:
    """A nonce and its work among `attempts` nonces from `start` on; None where there is none. Blocking."""
    if era == "y2":
        found = pow_mine_cpu(given, difficulty, start % _WORDS, attempts)
        return None if found is None else (int(found[0]), bytes(found[1]))
    for nonce in range(start, start + attempts):
        work = seal(era, given, nonce % _WORDS)
        if is_enough(era, work, difficulty):
            return nonce % _WORDS, work
    return None


def _keccak(data: bytes) -> bytes:
    return bytes(keccak.new(data=data, digest_bits=256).digest())
