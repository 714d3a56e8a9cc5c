"""The 10.x wire against forgers: what is refused, what is never believed. Official peers: test_legacy_official."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from legacy_peers import ALICE, BOB, MALLORY, target
from yarl import URL

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Code,
    Dendrite,
    Door,
    Refusal,
    Refused,
    ReplayGuard,
    Reply,
    Standing,
    Synapse,
)
from ranvier.protocol.legacy.client import legacy_request
from ranvier.protocol.legacy.signing import BODY_HASH, body_hash


class Plain(Synapse):
    """As `Echo` without signed fields."""

    text: str
    tags: tuple[str, ...] = ()

    class Reply(Reply):
        answer: str


class Echo(Plain):
    required_hash_fields: ClassVar[tuple[str, ...]] = ("text",)


@contextlib.asynccontextmanager
async def serving(synapse: Any = Echo, **options: Any) -> AsyncIterator[tuple[Axon, list[Any]]]:
    heard: list[Any] = []

    async def answer(request: Any, caller: Caller) -> Any:
        heard.append((request.text, caller.hotkey))
        return synapse.Reply(answer=f"{request.text} {len(request.tags)} {caller.hotkey}")

    options.setdefault("door", Door.open())
    options.setdefault("replay", ReplayGuard())  # some requests are older than the axon
    async with Axon(BOB, legacy=True, **options).serve(synapse, answer) as axon:
        yield axon, heard


async def test_the_same_axon_answers_both_wires() -> None:
    async with serving() as (axon, heard), Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
        new = await dendrite.ask(target(axon.port), Echo(text="new"), deadline=5.0)
        old = await dendrite.ask_legacy(target(axon.port), Echo(text="old"), deadline=5.0)
    assert isinstance(new, Answered)
    assert isinstance(old, Answered)
    assert (new.proven, old.proven) == (True, False)
    assert [text for text, _ in heard] == ["new", "old"]


async def test_an_axon_that_was_not_told_to_answers_no_old_wire() -> None:
    async def answer(request: Echo, caller: Caller) -> Any:
        raise AssertionError

    async with (
        Axon(BOB, door=Door.open()).serve(Echo, answer) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite,
    ):
        outcome = await dendrite.ask_legacy(target(axon.port), Echo(text="old"), deadline=5.0)
    assert isinstance(outcome, Refused)
    assert outcome.code == "http-400"


def sent(**changes: str) -> tuple[dict[str, str], bytes]:
    headers, body = legacy_request(ALICE, target(1), Echo(text="hello", tags=("a",)), 5.0, time.time_ns())
    return {**headers, **{name.replace("__", "_"): value for name, value in changes.items()}}, body


async def post(axon: Axon, headers: dict[str, str], body: bytes, method: str = "POST") -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{axon.port}/Echo", headers=headers, data=body) as response,
    ):
        return response.status, str(json.loads(await response.read()).get("message", ""))


FORGED: dict[str, Any] = {
    "empty signature": ({"bt_header_dendrite_signature": ""}, 400),
    "wrong signature": ({"bt_header_dendrite_signature": "0x" + "ab" * 64}, 401),
    "another sender": ({"bt_header_dendrite_hotkey": MALLORY.ss58_address}, 401),
    "another receiver": ({"bt_header_axon_hotkey": MALLORY.ss58_address}, 401),
    "another session": ({"bt_header_dendrite_uuid": "other"}, 401),
    "old nonce, long time-out": (
        {"bt_header_dendrite_nonce": str(time.time_ns() - 600 * 10**9), "timeout": "1000000"},
        401,
    ),
    "next year's nonce": ({"bt_header_dendrite_nonce": str(time.time_ns() + 365 * 86400 * 10**9)}, 401),
    "no number": ({"bt_header_dendrite_nonce": "soon"}, 400),
    "version of 2021": ({"bt_header_dendrite_version": "7001000"}, 400),
    "another hash": ({BODY_HASH: "a" * 64}, 401),
    "no hash": ({BODY_HASH: ""}, 400),
}


@pytest.mark.parametrize("case", FORGED)
async def test_forged_headers_run_nothing_and_are_not_echoed(case: str) -> None:
    changes, status = FORGED[case]
    headers, body = sent()
    async with serving() as (axon, heard):
        got, said = await post(axon, {**headers, **changes}, body)
        assert (got, heard) == (status, [])
        assert len(said) < 120
        assert axon.stats["answered"] == 0


SIGNED = (
    "bt_header_dendrite_nonce",
    "bt_header_dendrite_hotkey",
    "bt_header_dendrite_uuid",
    "bt_header_dendrite_signature",
    "bt_header_axon_hotkey",
    BODY_HASH,
)


@pytest.mark.parametrize("name", SIGNED)
async def test_every_signed_character_counts(name: str) -> None:
    """Each changed once, to another of its kind; the request itself is taken afterwards."""
    headers, body = sent()
    text = headers[name]
    async with serving() as (axon, heard), aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{axon.port}/Echo"
        for place in range(len(text)):
            other = "1" if text[place] != "1" else "2"
            changed = {**headers, name: text[:place] + other + text[place + 1 :]}
            async with session.post(url, headers=changed, data=body) as response:
                assert response.status in (400, 401), (place, other)
                assert not [header for header in response.headers if "signature" in header.lower()]
        assert heard == []
        async with session.post(url, headers=headers, data=body) as response:
            assert response.status == 200
            assert not [header for header in response.headers if "signature" in header.lower()]
    assert len(heard) == 1


async def test_another_path_method_or_query_is_refused() -> None:
    headers, body = sent()
    async with serving() as (axon, heard), aiohttp.ClientSession() as session:
        for method, path in (
            ("GET", "/Echo"),
            ("PUT", "/Echo"),
            ("POST", "/Echo?a=1"),
            ("POST", "/%45cho"),
            ("POST", "/"),
        ):
            url = URL(f"http://127.0.0.1:{axon.port}{path}", encoded=True)
            async with session.request(method, url, headers=headers, data=body) as response:
                assert response.status in (401, 404), (method, path)
    assert heard == []


async def test_the_ping_needs_a_signature_and_the_door_too() -> None:
    door = Door(deny=frozenset({MALLORY.ss58_address}), require_registered=False)
    async with serving(door=door) as (axon, _):
        for key, status in ((ALICE, "Answered"), (MALLORY, "Refused")):
            async with Dendrite(key, addresses=AddressPolicy.local()) as dendrite:
                outcome = await dendrite.ask_legacy(target(axon.port), Synapse(), deadline=5.0)
            assert type(outcome).__name__ == status, outcome


@pytest.mark.parametrize("seconds", [-600, -10.5, 2.5, 365 * 86400])
async def test_a_well_signed_request_of_another_time_is_stale(seconds: float) -> None:
    """The original takes those of the past with a long time-out, and all of the future."""
    nonce = time.time_ns() + int(seconds * 1e9)
    headers, body = legacy_request(ALICE, target(1), Echo(text="hello"), 1e6, nonce)
    async with serving() as (axon, heard):
        got, said = await post(axon, headers, body)
    assert (got, heard, said[:6]) == (401, [], "stale:")


BODIES = {
    "not a number beside it": b'{"text": "hello", "total_size": NaN}',
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "not a number": b'{"text": NaN}',
    "deep": b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no text": b'{"text": "\xff"}',
    "half a letter": b'{"text": "\\ud800"}',
    "a number beyond all": b'{"text": ' + b"9" * 10_000 + b"}",
    "no field": b"{}",
}


@pytest.mark.parametrize("case", BODIES)
async def test_a_body_that_cannot_be_read_is_refused_shortly(case: str) -> None:
    headers, _ = sent()
    async with serving() as (axon, heard):
        got, said = await post(axon, headers, BODIES[case])
    assert (got, heard) == (422, [])
    assert len(said) < 200


def test_hashed_fields_must_be_fields() -> None:
    with pytest.raises(TypeError, match="names \\['txt'\\], which are not its fields"):
        type("Typo", (Plain,), {"required_hash_fields": ("txt",), "__module__": __name__})


async def test_a_changed_body_is_refused_where_fields_are_signed() -> None:
    headers, body = sent()
    async with serving() as (axon, heard):
        got, said = await post(axon, headers, body.replace(b'"text":"hello"', b'"text":"other"'))
        assert (got, heard) == (401, [])
        assert "not the one that was signed" in said


async def test_the_caller_is_who_signed_and_not_who_the_body_names() -> None:
    headers, body = sent()
    content = json.loads(body)
    content["dendrite"]["hotkey"] = MALLORY.ss58_address
    async with serving() as (axon, heard):
        got, _ = await post(axon, headers, json.dumps(content).encode())
    assert (got, heard) == (200, [("hello", ALICE.ss58_address)])


async def test_a_replay_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    headers, body = sent()
    for attempt in range(3):
        guard = ReplayGuard(tmp_path / "nonces")
        async with serving(replay=guard) as (axon, heard):
            got, said = await post(axon, headers, body)
            assert (got, len(heard)) == ((200, 1) if attempt == 0 else (401, 0)), said


async def test_the_door_stands_before_the_old_wire_too() -> None:
    door = Door(require_permit=True)
    door.update({ALICE.ss58_address: Standing(1, 10**12, False)})
    headers, body = sent()
    async with serving(door=door) as (axon, heard):
        got, said = await post(axon, headers, body)
        assert (got, heard) == (403, [])
        assert said.startswith("no-permit")


async def test_rules_of_one_s_own_stand_at_the_door_or_in_the_handler() -> None:
    """What blacklist_fn and a status code set in forward become."""

    class Mine(Door):
        def admit(self, hotkey: str) -> Caller:
            if hotkey == MALLORY.ss58_address:
                raise Refusal(Code.DENIED, "not you")
            return super().admit(hotkey)

    async def busy(request: Echo, caller: Caller) -> Echo.Reply:
        raise Refusal(Code.BUSY, "later", retry_after=5.0)

    async with Axon(BOB, door=Mine(require_registered=False), legacy=True).serve(Echo, busy) as axon:
        for key, code, detail in (
            (MALLORY, "http-403", "denied: not you"),
            (ALICE, "http-429", "busy: later"),
        ):
            async with Dendrite(key, addresses=AddressPolicy.local()) as dendrite:
                outcome = await dendrite.ask_legacy(target(axon.port), Echo(text="x"), deadline=5.0)
            assert isinstance(outcome, Refused)
            assert (outcome.code, outcome.detail, outcome.proven) == (code, detail, False)
        headers, body = sent()
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{axon.port}/Echo"
            async with session.post(url, headers=headers, data=body) as response:
                assert response.headers["Retry-After"] == "5"


async def test_a_handler_that_takes_too_long_is_refused() -> None:
    async def slow(request: Any, caller: Caller) -> Any:
        await asyncio.sleep(30)

    headers, body = sent(timeout="0.1")
    async with Axon(BOB, door=Door.open(), legacy=True, replay=ReplayGuard()).serve(Echo, slow) as axon:
        assert (await post(axon, headers, body))[0] == 408


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"no json"), (200, b"[]"), (200, b'{"answer": 3}'), (500, b'{"message": "x"}')]
)
async def test_an_impostor_or_a_broken_axon_is_never_proven(status: int, body: bytes) -> None:
    from aiohttp import web

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, status=status, headers={"bt_header_axon_status_code": "200"})

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
            outcome = await dendrite.ask_legacy(target(runner.addresses[0][1]), Echo(text="x"), deadline=5.0)
    finally:
        await runner.cleanup()
    assert not isinstance(outcome, Answered)


def test_the_hash_is_the_one_that_was_captured() -> None:
    """From the official package: text="hi", n=1, tags=["a"], in this order; and of no fields."""

    class Captured(Synapse):
        text: str
        n: int
        tags: list[str]
        required_hash_fields: ClassVar[tuple[str, ...]] = ("text", "n", "tags")

    assert body_hash(Captured(text="hi", n=1, tags=["a"])).startswith("ef55a4f4cfb30521")
    assert body_hash(Plain(text="hi")).startswith("a7ffc6f8bf1ed766")
