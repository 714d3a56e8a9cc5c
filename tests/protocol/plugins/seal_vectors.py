"""Vectors of sealed bodies for other implementations.

Run: python tests/protocol/plugins/seal_vectors.py > tests/protocol/seal_vectors.json
All follow from fixed secrets, but for sr25519 signatures, which are different ones each time.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from seal_reference import Keys, x25519

from ranvier.protocol.btauth import payload
from ranvier.protocol.keys import keypair_from_uri
from ranvier.protocol.prekeys import MAX_LIFE_NS, Prekey, sign_prekey
from ranvier.protocol.seal import SealContext, seal_request

ALICE, BOB, CAROL = (keypair_from_uri(f"//{name}") for name in ("Alice", "Bob", "Charlie"))
NOW = 1_700_000_000_000_000_000
EXPIRES = NOW + 660_000_000_000
ID = "00112233445566778899aabbccddeeff"
PRIVATE = hashlib.sha256(b"the prekey of the vectors").digest()
P = 2**255 - 19
LOW_ORDER = (
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P - 1,
    P,
    P + 1,
)
"""Every u that agrees on zero with any key: of order 1, 2, 4 and 8, and those at or above p that are congruent."""


def low_order_points() -> list[bytes]:
    """All encodings: the top bit is ignored by X25519, so each has two."""
    return [(u | top << 255).to_bytes(32, "little") for u in LOW_ORDER for top in (0, 1)]


def prekey() -> Prekey:
    return sign_prekey(BOB, X25519PrivateKey.from_private_bytes(PRIVATE), ID, EXPIRES)


def refused() -> dict[str, str]:
    """Documents that are nearly right."""
    good = prekey()
    text = good.to_json().decode()
    private = X25519PrivateKey.from_private_bytes(PRIVATE)
    documents = {
        "expires later than was signed": replace(good, expires=EXPIRES + 1),
        "another id than was signed": replace(good, id=ID[::-1]),
        "another key than was signed": replace(good, public=bytes([good.public[0] ^ 1]) + good.public[1:]),
        "another signature": replace(good, signature=good.signature[:-1] + bytes([good.signature[-1] ^ 1])),
        "of another hotkey": sign_prekey(CAROL, private, ID, EXPIRES),
        "in the name of the hotkey, signed by another": replace(
            good, signature=sign_prekey(CAROL, private, ID, EXPIRES).signature
        ),
        "expires now": sign_prekey(BOB, private, ID, NOW),
        "lives longer than two hours": sign_prekey(BOB, private, ID, NOW + MAX_LIFE_NS + 1),
    }
    spellings = {
        "a space more": text.replace(": ", ":  ", 1),
        "no spaces": text.replace(" ", ""),
        "a line end behind it": text + "\n",
        "upper-case digits": text.replace(ID, ID.upper()),
        "a field more": text.replace("{", '{"more": 1, '),
        "a field twice": text.replace("{", f'{{"id": "{ID}", '),
        "expires as a float": text.replace(str(EXPIRES), f"{EXPIRES}.0"),
        "fields in another order": json.dumps(dict(reversed(json.loads(text).items()))),
    }
    return {why: document.to_json().decode() for why, document in documents.items()} | spellings


def call(
    name: str, path: str, plain: bytes, reply: tuple[str, bytes] | None, lines: list[bytes]
) -> dict[str, Any]:
    """One sealed request with its reply or stream, and every value on the way."""
    receiver, target = prekey(), f"{path}{'&' if '?' in path else '?'}seal={ID}"
    ephemeral = X25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    public = ephemeral.public_key().public_bytes_raw()
    context = SealContext(ALICE.ss58_address, BOB.ss58_address, target, NOW)
    sealed, session = seal_request(receiver, context, plain, ephemeral=ephemeral)
    signed = payload("POST", target, sealed, NOW, ALICE.ss58_address, BOB.ss58_address)
    digest = hashlib.sha256(signed).digest()
    secret = x25519(ephemeral.private_bytes_raw(), receiver.public)
    transcript = context.transcript(ID, receiver.public, public)
    keys = Keys.of(secret, transcript.decode().split("\n")[1:])
    found: dict[str, Any] = {
        "name": name,
        "target": target,
        "ephemeral_private": ephemeral.private_bytes_raw().hex(),
        "ephemeral_public": public.hex(),
        "secret": secret.hex(),
        "transcript": transcript.decode(),
        "salt": hashlib.sha256(transcript).hexdigest(),
        "request_key": keys.request.hex(),
        "reply_key": keys.reply.hex(),
        "stream_key": keys.stream.hex(),
        "plain": plain.hex(),
        "sealed": sealed.hex(),
        "digest": digest.hex(),
    }
    if reply is not None:
        form, body = reply
        nonce = hashlib.sha256(b"nonce of " + name.encode()).digest()[:12]
        answer = session._sealed_reply(nonce, form, digest, body)
        found["reply"] = {"content_type": form, "plain": body.hex(), "sealed": answer.hex()}
    frames = [session.seal_frame(number, line) for number, line in enumerate(lines)]
    found["frames"] = [
        {"plain": line.decode(), "line": frame.decode()} for line, frame in zip(lines, frames, strict=True)
    ]
    return found


def make() -> dict[str, Any]:
    good = prekey()
    pieces = [b'{"piece": "h\xc3\xa9"}', b'{"reply": {"text": "h\xc3\xa9"}}', b'{"signature": "0x00"}']
    return {
        "sender": ALICE.ss58_address,
        "receiver": BOB.ss58_address,
        "nonce": NOW,
        "prekey": {
            "private": PRIVATE.hex(),
            "payload": good.payload().decode(),
            "document": good.to_json().decode(),
        },
        "refused_prekeys": refused(),
        "low_order_points": [point.hex() for point in low_order_points()],
        "calls": [
            call(
                "json",
                "/Echo?deadline=12000",
                b'{"text":"hi"}',
                ("application/json+sealed", b'{"text":"hi"}'),
                [],
            ),
            call("stream", "/Echo?deadline=12000&mode=stream", b'{"text":"h\xc3\xa9"}', None, pieces),
            call("nothing", "/-/job", b"", ("application/json+sealed", b""), [b""]),
            call(
                "binary",
                "/Sc%C3%A4le?codec=binary",
                bytes(range(256)),
                ("application/x-ranvier-frame+sealed", bytes(range(255, -1, -1))),
                [],
            ),
        ],
    }


if __name__ == "__main__":
    json.dump(make(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
