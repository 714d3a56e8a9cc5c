"""A call as it travels: the signer, a nonce, the last block it may be in, the call's bytes, the signature.

The signature binds the chain (its genesis hash), so a call for one chain is worth nothing on another; the
chain remembers a call's hash until its last block has passed, so it is carried out at most once.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

from bittensor_core import verify
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ranvier.chain.addresses import canonical
from ranvier.chain.calls import Call, encode_call
from ranvier.chain.client import Keypair

LONGEST_LIFE = 128
"""Most blocks between a call's making and its last valid block."""

_DOMAIN = b"ranvier-call/1"
_MOST_BYTES = 128 * 1024


class SignedCall(BaseModel):
    """One signed call. `nonce` is any number below 2**64 that the signer uses once; `valid_until` a block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signer: Annotated[str, Field(max_length=49), AfterValidator(canonical)]
    nonce: Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)]
    valid_until: Annotated[int, Field(strict=True, ge=0, le=2**53)]
    call: Annotated[str, Field(max_length=_MOST_BYTES)]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]

    def payload(self, genesis: str) -> bytes:
        """The signed bytes: lines that hold no line break, then the call's bytes to the end."""
        return _payload(genesis, self.signer, self.nonce, self.valid_until, self.call)

    def hash(self, genesis: str) -> str:
        """0x and 64 hex digits naming the call; a second signature of the same content has the same name."""
        return "0x" + hashlib.sha256(self.payload(genesis)).hexdigest()

    def holds(self, genesis: str) -> bool:
        """Whether the signature is the signer's (sr25519) for this chain."""
        return bool(verify(self.payload(genesis), bytes.fromhex(self.signature), self.signer))


def sign_call(
    call: Call, signer: Keypair, genesis: str, valid_until: int, nonce: int | None = None
) -> SignedCall:
    """Sign a call for the chain with this genesis hash, under a fresh random nonce unless one is given."""
    text, nonce = encode_call(call).decode(), secrets.randbits(64) if nonce is None else nonce
    payload = _payload(genesis, signer.ss58_address, nonce, valid_until, text)
    return SignedCall(
        signer=signer.ss58_address,
        nonce=nonce,
        valid_until=valid_until,
        call=text,
        signature=signer.sign(payload).hex(),
    )


def _payload(genesis: str, signer: str, nonce: int, valid_until: int, call: str) -> bytes:
    head = f"{genesis}\n{signer}\n{nonce}\n{valid_until}\n"
    return _DOMAIN + b"\n" + head.encode() + call.encode()
