"""A request as it leaves a dendrite: encoded, sealed where that is wanted, signed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from pydantic import BaseModel

from ranvier.protocol.btauth import sign_request
from ranvier.protocol.caller import Target
from ranvier.protocol.codec import encode
from ranvier.protocol.connection import write_head
from ranvier.protocol.keys import Keypair
from ranvier.protocol.packing import pack
from ranvier.protocol.prekeys import Prekey
from ranvier.protocol.query import Query
from ranvier.protocol.seal import SealContext, Session, seal_request


class Message(NamedTuple):
    """What goes out, and what is needed to read what comes back."""

    target: Target
    head: bytes
    body: bytes
    digest: bytes
    query: Query
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose requests they are, and how bodies travel: ``compress`` packs those in clear, where it pays."""

    key: Keypair
    compress: bool

    def write(
        self, target: Target, route: str, request: BaseModel, query: Query, nonce: int, prekey: Prekey | None
    ) -> Message:
        """The request, sealed to ``prekey`` if there is one. Raises `SigningError`, and ValueError for its values."""
        body = encode(request, binary=query.binary).body
        session: Session | None = None
        if prekey is not None:
            query = replace(query, seal=prekey.id)
        elif self.compress:
            packed = pack(body)
            query, body = replace(query, unpack=True, packed=packed is not None), packed or body
        path = route + query.text()
        if prekey is not None:
            context = SealContext(self.key.ss58_address, target.hotkey, path, nonce)
            body, session = seal_request(prekey, context, body)
        headers, digest = sign_request(self.key, "POST", path, body, target.hotkey, nonce)
        headers["Content-Type"] = "application/json"
        head = write_head("POST", address_of(target), path, headers, len(body))
        return Message(target, head, body, digest, query, session)


def address_of(target: Target) -> str:
    """The target as a ``Host`` header names it."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{host}:{target.port}"
