"""Rival 2: what a competent team writes by hand: aiohttp, btauth/1, pydantic, signed replies.

It checks shape, receiver, freshness, signature and replay, and the reply's signature. It has no rates, no admission,
no queue, no deadline at the server, no cap on a reply, no address policy, and one error for everything.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from aiohttp import web
from bittensor_core import Keypair, verify
from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)
Handler = Callable[[Any], Awaitable[BaseModel]]
FRESH_NS = 10_000_000_000


def _payload(path: str, body: bytes, nonce: str, sender: str, receiver: str) -> bytes:
    body_hash = hashlib.sha256(body).hexdigest()
    return "\n".join(("btauth/1", "sr25519", "POST", path, body_hash, nonce, sender, receiver)).encode()


def _reply_payload(request: bytes, body_hash: str) -> bytes:
    return f"reply/1\n{hashlib.sha256(request).hexdigest()}\n{body_hash}".encode()


class Miner:
    """The server."""

    def __init__(self, key: Keypair) -> None:
        self._key = key
        self._seen: dict[tuple[str, str], int] = {}
        self.app = web.Application(client_max_size=64 << 20)

    def serve(self, model: type[BaseModel], handler: Handler) -> None:
        """Answer ``model`` at its name's path."""

        async def respond(request: web.Request) -> web.Response:
            message, body = await self._authenticated(request)
            reply = (await handler(model.model_validate_json(body))).model_dump_json().encode()
            signature = self._key.sign(_reply_payload(message, hashlib.sha256(reply).hexdigest()))
            headers = {"X-Signature": signature.hex()}
            return web.Response(body=reply, headers=headers, content_type="application/json")

        self.app.router.add_post(f"/{model.__name__}", respond)

    def stream(self, model: type[BaseModel], handler: Callable[[Any], AsyncIterator[str]]) -> None:
        """Answer ``model`` in pieces; the last line signs all that went before."""

        async def respond(request: web.Request) -> web.StreamResponse:
            message, body = await self._authenticated(request)
            response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
            await response.prepare(request)
            whole = hashlib.sha256()
            async for piece in handler(model.model_validate_json(body)):
                line = json.dumps({"piece": piece}).encode() + b"\n"
                whole.update(line)
                await response.write(line)
            signature = self._key.sign(_reply_payload(message, whole.hexdigest()))
            await response.write(json.dumps({"signature": signature.hex()}).encode() + b"\n")
            return response

        self.app.router.add_post(f"/{model.__name__}", respond)

    async def _authenticated(self, request: web.Request) -> tuple[bytes, bytes]:
        """The signed payload and the body; raises for whatever is wrong with them."""
        body, headers = await request.read(), request.headers
        try:
            sender, nonce = headers["X-Bittensor-Hotkey"], headers["X-Bittensor-Nonce"]
            signature = bytes.fromhex(headers["X-Bittensor-Signature"].removeprefix("0x"))
            receiver, age = headers["X-Bittensor-Receiver"], time.time_ns() - int(nonce)
        except (KeyError, ValueError) as error:
            raise web.HTTPUnauthorized(reason="no btauth/1") from error
        if receiver != self._key.ss58_address or abs(age) > FRESH_NS:
            raise web.HTTPUnauthorized(reason="not for me, or too old")
        message = _payload(request.path_qs, body, nonce, sender, receiver)
        if not verify(message, signature, sender):
            raise web.HTTPUnauthorized(reason="the signature does not hold")
        self._once(sender, nonce)
        return message, body

    def _once(self, sender: str, nonce: str) -> None:
        if (sender, nonce) in self._seen:
            raise web.HTTPUnauthorized(reason="seen before")
        self._seen[sender, nonce] = now = time.time_ns()
        while next(iter(self._seen.values())) < now - 2 * FRESH_NS:
            del self._seen[next(iter(self._seen))]


class Validator:
    """The client."""

    def __init__(self, key: Keypair, session: aiohttp.ClientSession) -> None:
        self._key, self._session = key, session
        self._last = 0

    def _signed(self, path: str, body: bytes, receiver: str) -> tuple[dict[str, str], bytes]:
        self._last = max(self._last + 1, time.time_ns())
        message = _payload(path, body, str(self._last), self._key.ss58_address, receiver)
        headers = {
            "Content-Type": "application/json",
            "X-Bittensor-Version": "1",
            "X-Bittensor-Hotkey": self._key.ss58_address,
            "X-Bittensor-Nonce": str(self._last),
            "X-Bittensor-Receiver": receiver,
            "X-Bittensor-Signature": "0x" + self._key.sign(message).hex(),
        }
        return headers, message

    async def ask(self, port: int, receiver: str, request: BaseModel, reply: type[M]) -> M:
        """The reply, if it is signed by whom we asked."""
        path, body = f"/{type(request).__name__}", request.model_dump_json().encode()
        headers, message = self._signed(path, body, receiver)
        url, limit = f"http://127.0.0.1:{port}{path}", aiohttp.ClientTimeout(total=30)
        async with self._session.post(url, data=body, headers=headers, timeout=limit) as response:
            response.raise_for_status()
            answer = await response.read()
        signature = bytes.fromhex(response.headers.get("X-Signature", ""))
        if not verify(_reply_payload(message, hashlib.sha256(answer).hexdigest()), signature, receiver):
            raise ValueError("the reply is not signed by the miner")
        return reply.model_validate_json(answer)

    async def stream(self, port: int, receiver: str, request: BaseModel) -> AsyncIterator[str]:
        """The pieces; raises at the end if they are not signed."""
        path, body = f"/{type(request).__name__}", request.model_dump_json().encode()
        headers, message = self._signed(path, body, receiver)
        whole, frame = hashlib.sha256(), {}
        url, limit = f"http://127.0.0.1:{port}{path}", aiohttp.ClientTimeout(total=30)
        async with self._session.post(url, data=body, headers=headers, timeout=limit) as response:
            response.raise_for_status()
            async for line in response.content:
                frame = json.loads(line)
                if "piece" in frame:
                    whole.update(line)
                    yield frame["piece"]
        if not verify(
            _reply_payload(message, whole.hexdigest()), bytes.fromhex(frame["signature"]), receiver
        ):
            raise ValueError("the stream is not signed by the miner")
