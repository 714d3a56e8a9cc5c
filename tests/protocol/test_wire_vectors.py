"""docs/wire-vectors.json holds for our code, and for a reading of docs/wire.md that uses none of it."""

from __future__ import annotations

import base64
import hashlib
import importlib.machinery
import importlib.util
import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bittensor_core import verify
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ranvier.protocol import InvalidReply, Refusal
from ranvier.protocol.btauth import prove, read_claim
from ranvier.protocol.frame import read_frame
from ranvier.protocol.query import Query
from ranvier.protocol.replies import check_reply
from ranvier.protocol.streams import StreamReader

ROOT = Path(__file__).resolve().parents[2]
VECTORS: dict[str, Any] = json.loads((ROOT / "docs" / "wire-vectors.json").read_text())
ALICE, BOB = VECTORS["keys"]["//Alice"], VECTORS["keys"]["//Bob"]
NOW = int(VECTORS["request"]["headers"]["X-Bittensor-Nonce"])
REFUSED = VECTORS["refused"]


def script() -> Any:
    """scripts/wire-vectors as a module."""
    path = str(ROOT / "scripts" / "wire-vectors")
    spec = importlib.util.spec_from_loader(
        "wire_vectors", importlib.machinery.SourceFileLoader("wire_vectors", path)
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # its models look their annotations up there
    spec.loader.exec_module(module)
    return module


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def holds(signature: str, message: str, signer: str) -> bool:
    return bool(verify(message.encode(), bytes.fromhex(signature.removeprefix("0x")), signer))


def requests() -> list[Any]:
    jobs, sealed = VECTORS["job"], VECTORS["sealed"]
    return [
        VECTORS["request"], VECTORS["stream"]["request"], VECTORS["packed"], jobs["request"], jobs["poll"],
        sealed["request"],
    ]  # fmt: skip


def replies() -> list[tuple[Any, str]]:
    """Each with the digest that it hangs on."""
    digest = VECTORS["request"]["digest"]
    return [
        (VECTORS["reply"], digest),
        (VECTORS["refusal"], digest),
        (VECTORS["job"]["acknowledged"], VECTORS["job"]["request"]["digest"]),
        (VECTORS["sealed"]["reply"], VECTORS["sealed"]["request"]["digest"]),
    ]


@pytest.mark.parametrize("asked", requests(), ids=lambda one: one["target"])
def test_requests(asked: dict[str, Any]) -> None:
    headers, body = asked["headers"], bytes.fromhex(asked["body"])
    nonce = headers["X-Bittensor-Nonce"]
    lines = ["btauth/1", "sr25519", "POST", asked["target"], sha(body).hex(), nonce, ALICE, BOB]
    assert asked["payload"] == "\n".join(lines)
    assert asked["digest"] == sha(asked["payload"].encode()).hex()
    assert holds(headers["X-Bittensor-Signature"], asked["payload"], ALICE)
    assert prove(read_claim(headers, BOB, NOW), "POST", asked["target"], body).digest.hex() == asked["digest"]


@pytest.mark.parametrize(("told", "digest"), replies(), ids=["reply", "refusal", "job", "sealed"])
def test_replies(told: dict[str, Any], digest: str) -> None:
    body, form = bytes.fromhex(told["body"]), told["content_type"]
    lines = ["ranvier-reply/1", digest, BOB, str(told["status"]), form, sha(body).hex()]
    assert told["payload"] == "\n".join(lines)
    assert holds(told["signature"], told["payload"], BOB)
    check_reply(told["signature"], bytes.fromhex(digest), BOB, told["status"], form, body)


@pytest.mark.parametrize("name", ["stream", "sealed"])
def test_streams(name: str) -> None:
    stream = VECTORS["stream"] if name == "stream" else VECTORS["sealed"]["stream"]
    digest = bytes.fromhex(VECTORS[name]["request"]["digest"])
    chain, chains = digest, []
    for line in stream["lines"]:
        chain = sha(chain, line.encode())
        chains.append(chain.hex())
    assert chains == stream["chain"]
    assert stream["payload"] == "\n".join(["ranvier-stream/1", digest.hex(), BOB, chains[-1]])
    assert holds(stream["signature"], stream["payload"], BOB)


def test_the_stream_is_read() -> None:
    stream = VECTORS["stream"]
    reader = StreamReader(BOB, bytes.fromhex(stream["request"]["digest"]))
    lines = [*stream["lines"], json.dumps({"signature": stream["signature"]})]
    assert [reader.take(line.encode()) for line in lines] == ["h", "i", None, None]
    assert (reader.finished, reader.reply) == (True, {"text": "hi"})


def test_a_packed_body() -> None:
    packed = VECTORS["packed"]
    assert zlib.decompress(bytes.fromhex(packed["body"])).hex() == packed["plain"]


def test_a_frame() -> None:
    whole, plain = bytes.fromhex(VECTORS["frame"]["frame"]), VECTORS["frame"]["json"]
    magic, head, count, zero = struct.unpack_from("<4sIII", whole)
    sizes = struct.unpack_from(f"<{count}Q", whole, 16)
    assert (magic, zero) == (b"RVF1", 0)
    parts, end = [], 16 + 8 * count
    for size in (head, *sizes):
        begin = -(-end // 16) * 16
        assert not any(whole[end:begin])
        end = begin + size
        parts.append(whole[begin:end])
    assert end == len(whole)
    found = json.loads(parts[0])
    for value in found.values():
        if isinstance(value, dict):
            value["data"] = base64.b64encode(parts[1 + value.pop("buffer")]).decode()
    found["picture"] = found["picture"]["data"]
    assert found == plain
    model = read_frame(script().Mixed, whole)
    assert np.array_equal(model.values.array, np.arange(6, dtype=np.float32).reshape(2, 3))


def test_the_seal() -> None:
    sealed = VECTORS["sealed"]
    prekey, asked = sealed["prekey"], sealed["request"]
    parts = ["ranvier-prekey/1", BOB, prekey["id"], prekey["public"], str(prekey["expires"])]
    assert sealed["prekey_payload"] == "\n".join(parts)
    assert holds(prekey["signature"], sealed["prekey_payload"], BOB)
    body, target = bytes.fromhex(asked["body"]), asked["target"]
    own = X25519PrivateKey.from_private_bytes(bytes.fromhex(sealed["prekey_private"]))
    assert own.public_key().public_bytes_raw().hex() == prekey["public"]
    names = ["ranvier-seal/1", ALICE, BOB, target, str(NOW), prekey["id"], prekey["public"], body[:32].hex()]
    transcript = "\n".join(names).encode()
    assert sealed["transcript"] == transcript.decode()
    secret = own.exchange(X25519PublicKey.from_public_bytes(body[:32]))
    keys = HKDF(SHA256(), 96, sha(transcript), b"ranvier-seal/1").derive(secret)
    request, reply, stream = (ChaCha20Poly1305(keys[start : start + 32]) for start in (0, 32, 64))
    assert request.decrypt(bytes(12), body[32:], transcript).hex() == sealed["plain"]
    told = bytes.fromhex(sealed["reply"]["body"])
    bound = "\n".join(["ranvier-seal/1", sealed["reply"]["content_type"], asked["digest"]]).encode()
    assert reply.decrypt(told[:12], told[12:], bound).hex() == sealed["reply"]["plain"]
    for place, line in enumerate(sealed["stream"]["lines"]):
        nonce = place.to_bytes(12, "big")
        opened = stream.decrypt(nonce, base64.b64decode(line, validate=True), None)
        assert opened.decode() == sealed["stream_plain"][place]


@pytest.mark.parametrize("asked", REFUSED["requests"], ids=lambda one: one["what"])
def test_refused_requests(asked: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        prove(read_claim(asked["headers"], BOB, NOW), "POST", asked["target"], bytes.fromhex(asked["body"]))
        Query.read(asked["target"].partition("?")[2])
    assert caught.value.code.value == asked["code"]


@pytest.mark.parametrize("told", REFUSED["replies"], ids=lambda one: one["what"])
def test_refused_replies(told: dict[str, Any]) -> None:
    digest, body = bytes.fromhex(VECTORS["request"]["digest"]), bytes.fromhex(told["body"])
    with pytest.raises(InvalidReply):
        check_reply(told["signature"], digest, BOB, told["status"], told["content_type"], body)


@pytest.mark.parametrize("stream", REFUSED["streams"], ids=lambda one: one["what"])
def test_refused_streams(stream: dict[str, Any]) -> None:
    reader, broken = StreamReader(BOB, bytes.fromhex(VECTORS["stream"]["request"]["digest"])), False
    try:
        for line in stream["lines"]:
            reader.take(line.encode())
    except InvalidReply:
        broken = True
    assert broken or not reader.finished


@pytest.mark.parametrize("one", REFUSED["frames"], ids=lambda one: one["what"])
def test_refused_frames(one: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="frame"):
        read_frame(script().Mixed, bytes.fromhex(one["frame"]))


def test_the_script_writes_the_same_but_for_signatures(capsys: pytest.CaptureFixture[str]) -> None:
    """sr25519 signs with fresh randomness, and a sealed reply has a random nonce."""
    script().main()
    assert shape(json.loads(capsys.readouterr().out)) == shape(VECTORS)


def shape(value: Any) -> Any:
    """Without what differs each time."""
    if isinstance(value, dict):
        left = {name: each for name, each in value.items() if "signature" not in name.lower()}
        if value.get("content_type", "").endswith("+sealed"):
            left = {name: each for name, each in left.items() if name not in ("body", "payload")}
        return {name: shape(each) for name, each in left.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return "trailer" if isinstance(value, str) and value.startswith('{"signature"') else value
