"""What a captured sealed request is good for at a running axon: nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from ranvier.protocol import Axon, Caller, Door, Keypair, Limits, Reply, Synapse, keypair_from_uri
from ranvier.protocol.btauth import sign_request
from ranvier.protocol.prekeys import Prekey
from ranvier.protocol.replies import REPLY_SIGNATURE, check_reply
from ranvier.protocol.seal import SealContext, seal_request

ALICE, BOB, MALLORY = (keypair_from_uri(f"//{name}") for name in ("Alice", "Bob", "Eve"))
SECOND = 1_000_000_000


class Whisper(Synapse):
    text: str

    class Reply(Reply):
        text: str


@dataclass
class Bob:
    """A miner with a clock of its own, and somebody who talks to it byte by byte."""

    axon: Axon
    http: aiohttp.ClientSession
    clock: list[int]
    heard: list[str] = field(default_factory=list)

    async def answer(self, request: Whisper, caller: Caller) -> Whisper.Reply:
        self.heard.append(f"{caller.hotkey} {request.text}")
        return Whisper.Reply(text=request.text)

    async def prekey(self) -> bytes:
        async with self.http.get(f"http://127.0.0.1:{self.axon.port}/-/prekey") as response:
            assert response.status == 200 and REPLY_SIGNATURE not in response.headers
            return await response.read()

    async def post(self, key: Keypair, target: str, body: bytes, nonce: int) -> dict[str, Any]:
        """The answer's status and body; signed by Bob, as every answer to a proven caller."""
        headers, digest = sign_request(key, "POST", target, body, BOB.ss58_address, nonce)
        url = f"http://127.0.0.1:{self.axon.port}{target}"
        async with self.http.post(url, data=body, headers=headers) as response:
            content, form = await response.read(), response.content_type
            check_reply(
                response.headers[REPLY_SIGNATURE], digest, BOB.ss58_address, response.status, form, content
            )
            found = {"status": response.status, "form": form, "body": content, "digest": digest}
            return found | (await response.json() if form == "application/json" else {})


@asynccontextmanager
async def running() -> AsyncIterator[Bob]:
    clock = [time.time_ns()]
    axon = Axon(BOB, door=Door.open(), limits=Limits(rate=1e6, burst=10_000), now=lambda: clock[0])
    async with aiohttp.ClientSession() as http:
        bob = Bob(axon, http, clock)
        async with axon.serve(Whisper, bob.answer):
            yield bob


def sealed(prekey: Prekey, nonce: int) -> tuple[str, bytes, Any]:
    """Alice's request: its target, its body, her session."""
    target = f"/Whisper?deadline=9000&seal={prekey.id}"
    context = SealContext(ALICE.ss58_address, BOB.ss58_address, target, nonce)
    return target, *seal_request(prekey, context, b'{"text": "psst"}')


async def test_a_captured_body_is_worth_nothing_in_anybody_elses_request() -> None:
    """Who takes it out of Alice's request and signs it himself would otherwise get its answer under his own name."""
    async with running() as bob:
        nonce = bob.clock[0]
        prekey = Prekey.read(await bob.prekey(), BOB.ss58_address, nonce)
        target, body, session = sealed(prekey, nonce)
        for key, path, at in (
            (MALLORY, target, nonce),
            (ALICE, target, nonce + 1),
            (ALICE, target.replace("9000", "9001"), nonce + 2),
        ):
            answer = await bob.post(key, path, body, at)
            assert (answer["status"], answer["code"]) == (400, "malformed") and not bob.heard
        good = await bob.post(ALICE, target, body, nonce)
        assert good["form"] == "application/json+sealed"
        assert session.open_reply(good["form"], good["digest"], good["body"]) == b'{"text":"psst"}'
        assert bob.heard == [f"{ALICE.ss58_address} psst"]


async def test_after_its_erasure_a_prekey_opens_nothing_any_more() -> None:
    async with running() as bob:
        prekey = Prekey.read(await bob.prekey(), BOB.ss58_address, bob.clock[0])
        bob.clock[0] += (600 + 60 + 12) * SECOND
        target, body, _ = sealed(prekey, bob.clock[0])
        late = await bob.post(ALICE, target, body, bob.clock[0])
        assert late["form"] == "application/json+sealed" and len(bob.heard) == 1
        bob.clock[0] += 1
        target, body, _ = sealed(prekey, bob.clock[0])
        answer = await bob.post(ALICE, target, body, bob.clock[0])
        assert (answer["status"], answer["code"]) == (409, "unknown-prekey") and len(bob.heard) == 1
        fresh = Prekey.read(await bob.prekey(), BOB.ss58_address, bob.clock[0])
        assert fresh.id != prekey.id and fresh.public != prekey.public


async def test_fetching_prekeys_makes_no_work_and_leaves_nothing() -> None:
    async with running() as bob:
        ring = bob.axon._service.prekeys
        assert {await bob.prekey() for _ in range(300)} == {ring.current().to_json()}
        assert ring.rotations == len(ring) == 1 and not bob.axon._service.endings
    assert len(ring) == 0  # an axon that has stopped holds no private half
