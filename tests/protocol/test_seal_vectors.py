"""The published vectors hold: for our code, and for a second implementation that knows only the specification."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ranvier.protocol import InvalidReply, Refusal
from ranvier.protocol.keys import signature_holds
from ranvier.protocol.prekeys import Prekey
from ranvier.protocol.seal import SealContext, open_request, seal_request

sys.path.insert(0, str(Path(__file__).parent / "plugins"))

import seal_reference as second
import seal_vectors

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "seal_vectors.json").read_text())
PREKEY = VECTORS["prekey"]
OWN = X25519PrivateKey.from_private_bytes(bytes.fromhex(PREKEY["private"]))
NOW: int = VECTORS["nonce"]
calls = pytest.mark.parametrize("call", VECTORS["calls"], ids=lambda call: call["name"])


def published() -> Prekey:
    return Prekey.read(PREKEY["document"].encode(), VECTORS["receiver"], NOW)


def context(call: dict[str, Any]) -> SealContext:
    return SealContext(VECTORS["sender"], VECTORS["receiver"], call["target"], NOW)


def test_the_file_is_what_its_script_writes_but_for_signatures() -> None:
    signature = re.compile(r"0x[0-9a-f]{128}")
    old, new = (
        [
            signature.sub("0x", document)
            for document in (PREKEY["document"], *held["refused_prekeys"].values())
        ]
        for held in (VECTORS, seal_vectors.make())
    )
    assert old == new
    fresh = seal_vectors.make()
    assert {key: value for key, value in fresh.items() if key not in ("prekey", "refused_prekeys")} == {
        key: value for key, value in VECTORS.items() if key not in ("prekey", "refused_prekeys")
    }


def test_the_prekey_is_signed_as_specified() -> None:
    prekey = json.loads(PREKEY["document"])
    lines = ("ranvier-prekey/1", prekey["hotkey"], prekey["id"], prekey["public"], str(prekey["expires"]))
    assert PREKEY["payload"] == "\n".join(lines)
    signature = bytes.fromhex(prekey["signature"][2:])
    assert signature_holds(PREKEY["payload"].encode(), signature, VECTORS["receiver"])
    assert bytes.fromhex(prekey["public"]) == second.public_of(bytes.fromhex(PREKEY["private"]))
    assert published().to_json().decode() == PREKEY["document"]


@pytest.mark.parametrize("why", VECTORS["refused_prekeys"])
def test_prekeys_that_are_to_be_refused_are(why: str) -> None:
    with pytest.raises(InvalidReply, match="the prekey"):
        Prekey.read(VECTORS["refused_prekeys"][why].encode(), VECTORS["receiver"], NOW)


@calls
def test_our_code_seals_and_opens_them(call: dict[str, Any]) -> None:
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(call["ephemeral_private"]))
    plain, sealed, digest = (bytes.fromhex(call[key]) for key in ("plain", "sealed", "digest"))
    made, sender = seal_request(published(), context(call), plain, ephemeral=ephemeral)
    found, receiver = open_request(OWN, published().id, sealed, context(call))
    assert made == sealed and found == plain
    reply = call.get("reply")
    if reply is not None:
        opened = sender.open_reply(reply["content_type"], digest, bytes.fromhex(reply["sealed"]))
        assert opened == bytes.fromhex(reply["plain"])
    for number, frame in enumerate(call["frames"]):
        assert receiver.seal_frame(number, frame["plain"].encode()) == frame["line"].encode()
        assert sender.open_frame(number, frame["line"].encode()) == frame["plain"].encode()


@calls
def test_a_second_implementation_comes_to_the_same(call: dict[str, Any]) -> None:
    prekey = json.loads(PREKEY["document"])
    secret = second.x25519(bytes.fromhex(call["ephemeral_private"]), bytes.fromhex(prekey["public"]))
    public = second.public_of(bytes.fromhex(call["ephemeral_private"]))
    assert secret == second.x25519(bytes.fromhex(PREKEY["private"]), public)
    names = [VECTORS["sender"], VECTORS["receiver"], call["target"], str(NOW)]
    keys = second.Keys.of(secret, [*names, prekey["id"], prekey["public"], public.hex()])
    plain, sealed = bytes.fromhex(call["plain"]), bytes.fromhex(call["sealed"])
    assert keys.transcript.decode() == call["transcript"] and keys.request.hex() == call["request_key"]
    assert keys.sealed_request(public, plain) == sealed and keys.opened_request(sealed) == plain
    reply = call.get("reply")
    if reply is not None:
        digest, answer = bytes.fromhex(call["digest"]), bytes.fromhex(reply["sealed"])
        assert keys.opened_reply(reply["content_type"], digest, answer) == bytes.fromhex(reply["plain"])
    for number, frame in enumerate(call["frames"]):
        assert keys.opened_frame(number, frame["line"]).decode() == frame["plain"]


@pytest.mark.parametrize("point", VECTORS["low_order_points"])
def test_a_key_of_low_order_agrees_with_nobody(point: str) -> None:
    """Whoever sent it would know the secret without any private key: it is zero."""
    weak = bytes.fromhex(point)
    assert second.x25519(bytes.fromhex(PREKEY["private"]), weak) == bytes(32)
    ours = published()
    signed = Prekey(ours.hotkey, ours.id, weak, ours.expires, ours.signature)
    about = SealContext(VECTORS["sender"], VECTORS["receiver"], "/Echo", NOW)
    with pytest.raises(InvalidReply, match="low order"):
        seal_request(signed, about, b"secret")
    transcript = about.transcript(ours.id, ours.public, weak).decode()
    known_to_all = second.hkdf(bytes(32), hashlib.sha256(transcript.encode()).digest(), b"ranvier-seal/1", 96)
    forged = weak + second.encrypt(known_to_all[:32], bytes(12), b"{}", transcript.encode())
    with pytest.raises(Refusal) as refused:
        open_request(OWN, ours.id, forged, about)
    assert refused.value.code == "malformed"


def test_the_page_shows_the_first_call() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "seal.md").read_text()
    first = VECTORS["calls"][0]
    names = ("secret", "salt", "ephemeral_private", "request_key", "reply_key", "stream_key")
    assert re.findall(r"`([0-9a-f]{64})`", page) == [PREKEY["private"], *(first[name] for name in names)]


def test_keys_for_requests_replies_and_streams_differ() -> None:
    found = [call[key] for call in VECTORS["calls"] for key in ("request_key", "reply_key", "stream_key")]
    assert len(set(found)) == len(found)
