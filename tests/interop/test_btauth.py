"""The wire against the official SDK: its golden vectors, its verifier on our requests, its requests at our axon."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from ranvier.protocol import (
    Axon,
    Caller,
    Code,
    Door,
    Keypair,
    Refusal,
    ReplayGuard,
    Reply,
    Synapse,
    keypair_from_uri,
)
from ranvier.protocol.btauth import (
    CRYPTO_HEADER,
    HOTKEY_HEADER,
    NONCE_HEADER,
    RECEIVER_HEADER,
    SIGNATURE_HEADER,
    VERSION_HEADER,
    Signed,
    payload,
    prove,
    read_claim,
    sign_request,
)

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("btauth_vectors.json").read_text())
VECTORS: list[dict[str, Any]] = GOLDEN["vectors"]
ALICE, BOB = keypair_from_uri("//Alice"), keypair_from_uri("//Bob")
NOW = 1_700_000_000_000_000_000
BODY = b'{"prompt": "hello"}'

Headers = dict[str, str]


@pytest.fixture
def http_auth() -> ModuleType:
    return pytest.importorskip("bittensor.http_auth", exc_type=ImportError)


class Echo(Synapse):
    text: str

    class Reply(Reply):
        text: str


async def echo(request: Echo, caller: Caller) -> Echo.Reply:
    return Echo.Reply(text=f"{caller.hotkey}:{request.text}")


def accepted(headers: Headers, method: str, path: str, body: bytes, receiver: str, now: int) -> Signed:
    return prove(read_claim(headers, receiver, now), method, path, body)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_golden_vector(vector: dict[str, Any]) -> None:
    body = bytes.fromhex(vector["body_hex"])
    message = payload(
        vector["method"],
        vector["path"],
        body,
        vector["nonce_ns"],
        vector["sender_ss58"],
        vector["receiver_ss58"],
    )
    assert message.hex() == vector["payload_hex"]
    assert hashlib.sha256(message).hexdigest() == vector["payload_sha256"]
    signed = accepted(
        vector["headers"], vector["method"], vector["path"], body, vector["receiver_ss58"], vector["nonce_ns"]
    )
    assert signed == Signed(vector["sender_ss58"], vector["nonce_ns"], hashlib.sha256(message).digest())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
@pytest.mark.parametrize("field", ["method", "path", "body", "nonce", "sender"])
def test_golden_vector_with_one_field_changed(vector: dict[str, Any], field: str) -> None:
    headers = dict(vector["headers"])
    method, path, body = vector["method"], vector["path"], bytes.fromhex(vector["body_hex"])
    if field == "method":
        method = "PUT"
    elif field == "path":
        path += "?x"
    elif field == "body":
        body += b" "
    elif field == "nonce":
        headers[NONCE_HEADER] = str(vector["nonce_ns"] + 1)
    else:
        headers[HOTKEY_HEADER] = keypair_from_uri("//Mallory").ss58_address
    with pytest.raises(Refusal) as refused:
        accepted(headers, method, path, body, vector["receiver_ss58"], vector["nonce_ns"])
    assert refused.value.code is Code.BAD_SIGNATURE


def without(name: str) -> Callable[[Headers], Headers]:
    return lambda headers: {key: value for key, value in headers.items() if key != name}


def having(name: str, value: str) -> Callable[[Headers], Headers]:
    return lambda headers: headers | {name: value}


def signature(change: Callable[[str], str]) -> Callable[[Headers], Headers]:
    return lambda headers: headers | {SIGNATURE_HEADER: change(headers[SIGNATURE_HEADER])}


ACCEPTED = "ok"
# The SDK's case: what happens to the headers, our code. Where the two differ we are stricter; docs/wire.md lists it.
HEADER_CASES: dict[str, tuple[Callable[[Headers], Headers], str]] = {
    "good": (dict, ACCEPTED),
    "other receiver": (
        having(RECEIVER_HEADER, keypair_from_uri("//Charlie").ss58_address),
        Code.WRONG_RECEIVER,
    ),
    "no receiver": (without(RECEIVER_HEADER), Code.WRONG_RECEIVER),
    "missing X-Bittensor-Version": (without(VERSION_HEADER), Code.MALFORMED),
    "missing X-Bittensor-Hotkey": (without(HOTKEY_HEADER), Code.MALFORMED),
    "missing X-Bittensor-Nonce": (without(NONCE_HEADER), Code.MALFORMED),
    "missing X-Bittensor-Signature": (without(SIGNATURE_HEADER), Code.MALFORMED),
    "missing X-Bittensor-Receiver": (without(RECEIVER_HEADER), Code.WRONG_RECEIVER),
    "signature without 0x": (signature(lambda value: value[2:]), Code.MALFORMED),
    "signature short": (signature(lambda value: value[:-2]), Code.MALFORMED),
    "signature not hex": (signature(lambda value: value[:-1] + "z"), Code.MALFORMED),
    "signature zero": (signature(lambda _: "0x" + "00" * 64), Code.BAD_SIGNATURE),
    "crypto header 1": (having(CRYPTO_HEADER, "1"), Code.MALFORMED),
    "crypto header SR25519 upper": (having(CRYPTO_HEADER, "SR25519"), Code.MALFORMED),
    "crypto header ed25519": (having(CRYPTO_HEADER, "ed25519"), Code.MALFORMED),
    "crypto header bogus": (having(CRYPTO_HEADER, "bogus"), Code.MALFORMED),
    "nonce with plus": (having(NONCE_HEADER, f"+{NOW}"), Code.MALFORMED),
    "nonce with underscore": (having(NONCE_HEADER, f"1_{NOW - 10**18}"), Code.MALFORMED),
    "nonce with spaces": (having(NONCE_HEADER, f" {NOW} "), Code.MALFORMED),
    "nonce float": (having(NONCE_HEADER, "1.7e18"), Code.MALFORMED),
    "version 2": (having(VERSION_HEADER, "2"), Code.MALFORMED),
}
STRICTER = {
    "signature without 0x",
    "crypto header 1",
    "crypto header SR25519 upper",
    "nonce with plus",
    "nonce with underscore",
    "nonce with spaces",
}
SDK_NAMES = {
    Code.MALFORMED: "MalformedAuth",
    Code.WRONG_RECEIVER: "WrongReceiver",
    Code.BAD_SIGNATURE: "BadSignature",
    ACCEPTED: "ok",
}


@pytest.mark.parametrize("case", HEADER_CASES)
def test_headers_that_the_sdk_was_asked_about(case: str) -> None:
    change, expected = HEADER_CASES[case]
    headers, _ = sign_request(ALICE, "POST", "/generate", BODY, BOB.ss58_address, NOW)
    try:
        accepted(change(headers), "POST", "/generate", BODY, BOB.ss58_address, NOW)
        got: str = ACCEPTED
    except Refusal as refusal:
        got = refusal.code
    assert got == expected
    theirs = GOLDEN["verifier_outcomes"][case]
    if case in STRICTER:
        assert (theirs, got) == ("ok", Code.MALFORMED)
    elif case == "crypto header ed25519":
        assert theirs == "BadSignature"
    else:
        assert theirs == SDK_NAMES[Code(got) if got != ACCEPTED else ACCEPTED]


@pytest.mark.parametrize(
    ("case", "age"),
    [
        ("age 10.0 s", 10_000_000_000),
        ("age 10.000000001 s", 10_000_000_001),
        ("future 2.0 s", -2_000_000_000),
        ("future 2.000000001 s", -2_000_000_001),
    ],
)
def test_freshness_has_the_edges_of_the_sdk(case: str, age: int) -> None:
    headers, _ = sign_request(ALICE, "POST", "/generate", BODY, BOB.ss58_address, NOW)
    if GOLDEN["verifier_outcomes"][case] == "ok":
        assert read_claim(headers, BOB.ss58_address, NOW + age).nonce == NOW
    else:
        with pytest.raises(Refusal) as refused:
            read_claim(headers, BOB.ss58_address, NOW + age)
        assert refused.value.code is Code.STALE


def test_replay_and_order_as_in_the_sdk() -> None:
    guard = ReplayGuard()
    guard.accept(ALICE.ss58_address, NOW + 1, NOW)
    guard.accept(ALICE.ss58_address, NOW, NOW)  # "lower nonce after higher accepted"
    with pytest.raises(Refusal) as refused:
        guard.accept(ALICE.ss58_address, NOW + 1, NOW)
    assert refused.value.code is Code.REPLAYED


@pytest.mark.subtensor
@pytest.mark.parametrize("path", ["/generate", "/Echo?deadline=12000&mode=stream"])
@pytest.mark.parametrize("body", [b"", BODY, '{"text": "é\\n"}'.encode()])
def test_the_sdk_accepts_our_requests(http_auth: ModuleType, path: str, body: bytes) -> None:
    nonce = time.time_ns()
    headers, digest = sign_request(ALICE, "POST", path, body, BOB.ss58_address, nonce)
    caller = http_auth.verify(
        headers,
        body,
        method="POST",
        path=path,
        self_hotkey_ss58=BOB.ss58_address,
        nonce_store=http_auth.InMemoryNonceStore(),
    )
    assert (caller.hotkey_ss58, caller.nonce_ns) == (ALICE.ss58_address, nonce)
    theirs = http_auth.build_payload(
        scheme="sr25519",
        method="POST",
        path=path,
        body=body,
        nonce_ns=nonce,
        sender_ss58=ALICE.ss58_address,
        receiver_ss58=BOB.ss58_address,
    )
    assert hashlib.sha256(theirs).digest() == digest


@pytest.mark.subtensor
async def test_our_axon_accepts_a_request_signed_by_the_sdk(http_auth: ModuleType) -> None:
    sender: Keypair = keypair_from_uri("//Alice")
    body = b'{"text": "hello"}'
    axon = Axon(BOB, door=Door.open()).serve(Echo, echo)
    async with axon, aiohttp.ClientSession() as session:
        path = "/Echo?deadline=5000"
        headers = http_auth.sign(sender, method="post", path=path, body=body, receiver_ss58=BOB.ss58_address)
        url = f"http://127.0.0.1:{axon.port}{path}"
        async with session.post(url, data=body, headers=headers) as response:
            assert response.status == 200
            assert (await response.json())["text"] == f"{ALICE.ss58_address}:hello"
        async with session.post(url, data=body, headers=headers) as response:
            assert response.status == 401
            assert (await response.json())["code"] == "replayed"
        unbound = http_auth.sign(sender, method="POST", path=path, body=body)
        async with session.post(url, data=body, headers=unbound) as response:
            assert (await response.json())["code"] == "wrong-receiver"
