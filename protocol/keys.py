"""Keys: sr25519 pairs that sign, and ss58 addresses that name them."""

from __future__ import annotations

from typing import Protocol

from bittensor_core import Keypair as _Keypair
from bittensor_core import decode_ss58, encode_ss58, verify

from ranvier.protocol.errors import SigningError

BITTENSOR_FORMAT = 42


class Keypair(Protocol):
    """What the protocol needs of a key: bittensor-core's ``Keypair`` fits."""

    @property
    def ss58_address(self) -> str:
        """The address that names the key."""
        ...

    def sign(self, data: bytes) -> bytes:
        """A 64-byte signature."""
        ...


def keypair_from_uri(uri: str) -> Keypair:
    """A development key such as ``//Alice``; never use one outside a local network."""
    return _Keypair.create_from_uri(uri)  # type: ignore[no-any-return]


def is_address(ss58: str) -> bool:
    """Whether ``ss58`` is the canonical generic address of some 32-byte key.

    Nothing is remembered: it takes 2 µs, and is asked about addresses that strangers make up.
    """
    try:
        return str(encode_ss58(decode_ss58(ss58), BITTENSOR_FORMAT)) == ss58
    except ValueError:
        return False


def signature_holds(message: bytes, signature: bytes, ss58: str) -> bool:
    """Whether ``signature`` is the sr25519 signature of ``message`` by the key that ``ss58`` names."""
    return len(signature) == 64 and is_address(ss58) and bool(verify(message, signature, ss58))


def sign(key: Keypair, message: bytes) -> bytes:
    """Sign; raises `SigningError` for a key without its private half."""
    try:
        return key.sign(message)
    except Exception as error:
        raise SigningError(f"the key {key.ss58_address} cannot sign: {error}") from error
