"""What the 10.x wire signs: names of keys, a nonce, a session and a hash over chosen fields."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from ranvier.protocol.legacy.values import plain_values
from ranvier.protocol.synapse import Synapse

DENDRITE: Final = "bt_header_dendrite_"
AXON: Final = "bt_header_axon_"
INPUT: Final = "bt_header_input_obj_"
BODY_HASH: Final = "computed_body_hash"
VERSION: Final = 10_005_000
"""As 10.5.0 names itself."""
OLDEST: Final = 7_002_000
"""Versions before sent nonces that say nothing of time."""


def message(nonce: str, sender: str, receiver: str, session: str, body_hash: str) -> bytes:
    """The signed bytes."""
    return f"{nonce}.{sender}.{receiver}.{session}.{body_hash}".encode()


def body_hash(synapse: Synapse, *, torch: bool = False) -> str:
    """SHA3-256 over the hashes of the fields that the class lists, each as Python prints it; of nothing where none.

    ``torch``: element types of tensors have torch's names. Raises ValueError for a tensor that 10.x cannot hold.
    """
    hashed = type(synapse).required_hash_fields
    values = plain_values(synapse, torch=torch) if hashed else {}
    return _hash_of(values[name] for name in hashed)


def _hash_of(values: Iterable[Any]) -> str:
    joined = "".join(hashlib.sha3_256(str(value).encode()).hexdigest() for value in values)
    return hashlib.sha3_256(joined.encode()).hexdigest()
