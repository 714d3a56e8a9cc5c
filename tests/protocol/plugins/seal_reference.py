"""A second implementation of sealed bodies, written from docs/seal.md alone: no line of ours, no library.

It is slow and not constant in time: it exists to be compared with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass

_P = 2**255 - 19
_WORD = 0xFFFFFFFF


def x25519(scalar: bytes, point: bytes) -> bytes:
    """RFC 7748, section 5."""
    number = int.from_bytes(scalar, "little")
    number = number & ~7 & ~(128 << 8 * 31) | (64 << 8 * 31)
    u = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for position in reversed(range(255)):
        bit = number >> position & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % _P, b * b % _P, d * a % _P, c * b % _P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % _P, u * (da - cb) ** 2 % _P
        x2, z2 = aa * bb % _P, e * (aa + 121665 * e) % _P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, _P - 2, _P) % _P).to_bytes(32, "little")


def public_of(private: bytes) -> bytes:
    return x25519(private, (9).to_bytes(32, "little"))


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256."""
    key, out, block = hmac.digest(salt, secret, "sha256"), b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        out += block
    return out[:length]


def _quarter(s: list[int], a: int, b: int, c: int, d: int) -> None:
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = s[x] + s[y] & _WORD
        mixed = s[z] ^ s[x]
        s[z] = (mixed << turn | mixed >> 32 - turn) & _WORD


def _block(key: bytes, counter: int, nonce: bytes) -> bytes:
    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), counter]
    start += struct.unpack("<3I", nonce)
    state = list(start)
    for _ in range(10):
        for column in range(4):
            _quarter(state, column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            _quarter(state, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return struct.pack("<16I", *(one + other & _WORD for one, other in zip(state, start, strict=True)))


def _stream(key: bytes, nonce: bytes, data: bytes) -> bytes:
    pads = (_block(key, 1 + i, nonce) for i in range(-(-len(data) // 64)))
    return bytes(one ^ other for one, other in zip(data, b"".join(pads), strict=False))


def _tag(key: bytes, nonce: bytes, ciphertext: bytes, data: bytes) -> bytes:
    pad = _block(key, 0, nonce)
    r = int.from_bytes(pad[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    message = b"".join(part + bytes(-len(part) % 16) for part in (data, ciphertext))
    message += struct.pack("<QQ", len(data), len(ciphertext))
    total = 0
    for i in range(0, len(message), 16):
        total = (total + int.from_bytes(message[i : i + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return (total + int.from_bytes(pad[16:32], "little") & (1 << 128) - 1).to_bytes(16, "little")


def encrypt(key: bytes, nonce: bytes, plain: bytes, data: bytes) -> bytes:
    """RFC 8439, section 2.8."""
    ciphertext = _stream(key, nonce, plain)
    return ciphertext + _tag(key, nonce, ciphertext, data)


def decrypt(key: bytes, nonce: bytes, sealed: bytes, data: bytes) -> bytes:
    ciphertext, tag = sealed[:-16], sealed[-16:]
    if tag != _tag(key, nonce, ciphertext, data):
        raise ValueError("the tag does not hold")
    return _stream(key, nonce, ciphertext)


@dataclass(frozen=True)
class Keys:
    """Everything that follows from one agreement."""

    transcript: bytes
    request: bytes
    reply: bytes
    stream: bytes

    @classmethod
    def of(cls, secret: bytes, lines: list[str]) -> Keys:
        assert any(secret), "an all-zero secret is no secret"
        transcript = "\n".join(["ranvier-seal/1", *lines]).encode()
        keys = hkdf(secret, hashlib.sha256(transcript).digest(), b"ranvier-seal/1", 96)
        return cls(transcript, keys[:32], keys[32:64], keys[64:])

    def sealed_request(self, ephemeral_public: bytes, body: bytes) -> bytes:
        return ephemeral_public + encrypt(self.request, bytes(12), body, self.transcript)

    def opened_request(self, sealed: bytes) -> bytes:
        return decrypt(self.request, bytes(12), sealed[32:], self.transcript)

    def opened_reply(self, content_type: str, digest: bytes, sealed: bytes) -> bytes:
        data = f"ranvier-seal/1\n{content_type}\n{digest.hex()}".encode()
        return decrypt(self.reply, sealed[:12], sealed[12:], data)

    def opened_frame(self, number: int, line: str) -> bytes:
        return decrypt(self.stream, struct.pack(">IQ", 0, number), base64.b64decode(line), b"")
