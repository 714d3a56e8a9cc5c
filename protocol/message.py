"""A request as it leaves a dendrite: encoded, sealed where that is wanted, signed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import aiohttp
from pydantic import BaseModel
from yarl import URL

from ranvier.protocol.btauth import sign_request
from ranvier.protocol.caller import Target
from ranvier.protocol.codec import encode
from ranvier.protocol.keys import Keypair
from ranvier.protocol.packing import pack
from ranvier.protocol.prekeys import Prekey
from ranvier.protocol.query import Query
from ranvier.protocol.seal import SealContext, Session, seal_request


class Message(NamedTuple):
    """What goes out, and what is needed to read what comes back."""

    url: URL
    body: bytes
    headers: dict[str, str]
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
        return Message(url_of(target.host, target.port, path), body, headers, digest, query, session)


@lru_cache(maxsize=4096)
def url_of(host: str, port: int, path: str) -> URL:
    """Built once for each miner and deadline: parsing costs as much as a signature.

    Raises `aiohttp.ClientConnectionError` for a port that is none.
    """
    if not 0 < port < 1 << 16:
        raise aiohttp.ClientConnectionError(f"{port} is no port that can be called")
    named = f"[{host}]" if ":" in host else host
    return URL(f"http://{named}:{port}{path}", encoded=True)
