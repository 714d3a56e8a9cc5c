"""Sealed bodies open for whom they are meant, as what they were, where they belong; and nowhere else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ranvier.protocol import InvalidReply, Refusal
from ranvier.protocol.codes import Code
from ranvier.protocol.seal import (
    NONCE_SIZE,
    PUBLIC_SIZE,
    TAG_SIZE,
    SealContext,
    Session,
    open_request,
    seal_request,
)

FORM = "application/json+sealed"
DIGEST = hashlib.sha256(b"a request").digest()
CONTEXT = SealContext("Alice", "Bob", "/Echo?deadline=12000&seal=" + "0" * 32, 1_700_000_000_000_000_000)
OWN = X25519PrivateKey.generate()
bodies = st.binary(max_size=300)


@dataclass(frozen=True)
class Given:
    """A prekey that nobody signed: sealing does not ask."""

    id: str
    public: bytes


PREKEY = Given("0" * 32, OWN.public_key().public_bytes_raw())


def sealed_and_both(body: bytes = b"{}", context: SealContext = CONTEXT) -> tuple[bytes, Session, Session]:
    """A sealed body, the sender's session, the receiver's."""
    sealed, sender = seal_request(PREKEY, context, body)
    opened, receiver = open_request(OWN, PREKEY.id, sealed, context)
    assert opened == body
    return sealed, sender, receiver


def refused_as_malformed(sealed: bytes, context: SealContext = CONTEXT, id: str = PREKEY.id) -> None:
    with pytest.raises(Refusal) as refused:
        open_request(OWN, id, sealed, context)
    assert refused.value.code is Code.MALFORMED


@given(bodies, bodies, st.lists(bodies, max_size=4))
def test_what_is_sealed_opens_as_what_it_was(body: bytes, answer: bytes, lines: list[bytes]) -> None:
    sealed, sender, receiver = sealed_and_both(body)
    assert len(sealed) == PUBLIC_SIZE + len(body) + TAG_SIZE
    reply = receiver.seal_reply(FORM, DIGEST, answer)
    assert len(reply) == NONCE_SIZE + len(answer) + TAG_SIZE
    assert sender.open_reply(FORM, DIGEST, reply) == answer
    for number, line in enumerate(lines):
        frame = receiver.seal_frame(number, line)
        assert b"\n" not in frame and sender.open_frame(number, frame) == line


def test_nothing_is_sealed_the_same_way_twice() -> None:
    (one, _, first), (other, _, second) = sealed_and_both(b"same"), sealed_and_both(b"same")
    assert one[:PUBLIC_SIZE] != other[:PUBLIC_SIZE] and one[PUBLIC_SIZE:] != other[PUBLIC_SIZE:]
    replies = {session.seal_reply(FORM, DIGEST, b"same") for session in (first, first, second)}
    assert len(replies) == 3
    assert first.seal_frame(0, b"same") != second.seal_frame(0, b"same") != first.seal_frame(1, b"same")


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTEXT, sender="Mallory"),
        replace(CONTEXT, receiver="Carol"),
        replace(CONTEXT, sender=CONTEXT.receiver, receiver=CONTEXT.sender),
        replace(CONTEXT, target=CONTEXT.target.replace("Echo", "Scale")),
        replace(CONTEXT, target=CONTEXT.target.replace("12000", "12001")),
        replace(CONTEXT, nonce=CONTEXT.nonce + 1),
    ],
    ids=("sender", "receiver", "both swapped", "path", "query", "nonce"),
)
def test_a_body_cannot_be_moved_into_another_request(other: SealContext) -> None:
    """Who takes a body out of somebody's request and signs it as his own gets nothing of it opened."""
    sealed, _, _ = sealed_and_both(b"for Bob alone")
    refused_as_malformed(sealed, other)


def test_a_body_opens_with_its_own_prekey_only() -> None:
    sealed, _, _ = sealed_and_both()
    refused_as_malformed(sealed, id="1" * 32)
    with pytest.raises(Refusal):
        open_request(X25519PrivateKey.generate(), PREKEY.id, sealed, CONTEXT)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_one_byte_changed_anywhere_in_a_request_and_it_does_not_open(body: bytes, data: Any) -> None:
    sealed, _, _ = sealed_and_both(body)
    refused_as_malformed(changed(sealed, data))


@given(bodies, st.data())
def test_a_request_that_is_cut_or_longer_does_not_open(body: bytes, data: Any) -> None:
    sealed, _, _ = sealed_and_both(body)
    refused_as_malformed(sealed[: data.draw(st.integers(0, len(sealed) - 1))])
    refused_as_malformed(sealed + data.draw(st.binary(min_size=1, max_size=20)))


@given(st.binary(max_size=60), st.data())
def test_a_reply_that_is_changed_cut_or_longer_does_not_open(body: bytes, data: Any) -> None:
    _, sender, receiver = sealed_and_both()
    reply = receiver.seal_reply(FORM, DIGEST, body)
    shorter = reply[: data.draw(st.integers(0, len(reply) - 1))]
    longer = reply + data.draw(st.binary(min_size=1, max_size=20))
    for bad in (changed(reply, data), shorter, longer):
        with pytest.raises(InvalidReply, match="does not open"):
            sender.open_reply(FORM, DIGEST, bad)


@given(st.binary(max_size=60), st.data())
def test_a_frame_that_is_changed_cut_or_longer_does_not_open(line: bytes, data: Any) -> None:
    """Also not one that says the same bytes in another spelling of base64."""
    _, sender, receiver = sealed_and_both()
    frame = receiver.seal_frame(0, line)
    shorter = frame[: data.draw(st.integers(0, len(frame) - 1))]
    longer = frame + data.draw(st.binary(min_size=1, max_size=8))
    for bad in (changed(frame, data), shorter, longer):
        with pytest.raises(InvalidReply, match="frame"):
            sender.open_frame(0, bad)


def test_spare_bits_of_base64_are_not_spare() -> None:
    _, sender, receiver = sealed_and_both()
    frame = receiver.seal_frame(0, b"")  # 16 bytes: the last digit before the padding holds 4 spare bits
    assert frame.endswith(b"==") and sender.open_frame(0, frame) == b""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    spelled = [frame[:-3] + bytes([digit]) + b"==" for digit in alphabet if digit != frame[-3]]
    for bad in (*spelled, frame + b"\n", b" " + frame, frame.rstrip(b"=")):
        with pytest.raises(InvalidReply):
            sender.open_frame(0, bad)


@pytest.mark.parametrize(
    ("form", "digest"),
    [
        ("application/json", DIGEST),
        ("application/x-ranvier-frame+sealed", DIGEST),
        (FORM, hashlib.sha256(b"another request").digest()),
        (FORM, b""),
    ],
    ids=("unsealed type", "other type", "other request", "no request"),
)
def test_a_reply_opens_as_its_type_and_to_its_request_only(form: str, digest: bytes) -> None:
    _, sender, receiver = sealed_and_both()
    reply = receiver.seal_reply(FORM, DIGEST, b"{}")
    with pytest.raises(InvalidReply):
        sender.open_reply(form, digest, reply)


def test_a_reply_is_nothing_in_another_session() -> None:
    """Replayed to another request, sent back to the receiver, or given as a frame."""
    sealed, sender, receiver = sealed_and_both()
    _, other, _ = sealed_and_both()
    reply = receiver.seal_reply(FORM, DIGEST, b"{}")
    for session, body in ((other, reply), (sender, sealed)):
        with pytest.raises(InvalidReply):
            session.open_reply(FORM, DIGEST, body)
    refused_as_malformed(sealed[:PUBLIC_SIZE] + reply[NONCE_SIZE:])
    with pytest.raises(InvalidReply):
        sender.open_reply(FORM, DIGEST, bytes(NONCE_SIZE) + sealed[PUBLIC_SIZE:])


@given(st.lists(st.integers(0, 4), max_size=6))
def test_frames_open_in_their_order_only(order: list[int]) -> None:
    """Whatever is reordered, left out or repeated: the first line out of its place does not open."""
    _, sender, receiver = sealed_and_both()
    frames = [receiver.seal_frame(number, b"line %d" % number) for number in range(5)]
    for place, number in enumerate(order):
        if number == place:
            assert sender.open_frame(place, frames[number]) == b"line %d" % number
            continue
        with pytest.raises(InvalidReply, match="does not open"):
            sender.open_frame(place, frames[number])
        break


def test_a_frame_of_another_stream_does_not_open() -> None:
    _, sender, _ = sealed_and_both()
    _, _, receiver = sealed_and_both()
    with pytest.raises(InvalidReply):
        sender.open_frame(0, receiver.seal_frame(0, b"{}"))


@pytest.mark.parametrize("number", [0, 2, -1])
def test_no_frames_number_is_used_twice_or_left_out(number: int) -> None:
    _, _, receiver = sealed_and_both()
    receiver.seal_frame(0, b"first")
    with pytest.raises(ValueError, match="frame 1 is the next"):
        receiver.seal_frame(number, b"second")
    assert receiver.seal_frame(1, b"second")


@pytest.mark.parametrize("public", [b"", b"short", bytes(31), bytes(33)])
def test_a_prekey_of_another_size_is_refused(public: bytes) -> None:
    with pytest.raises(InvalidReply):
        seal_request(Given(PREKEY.id, public), CONTEXT, b"{}")


def changed(sealed: bytes, data: Any) -> bytes:
    """One byte of it is another one."""
    place, mask = data.draw(st.integers(0, len(sealed) - 1)), data.draw(st.integers(1, 255))
    return sealed[:place] + bytes([sealed[place] ^ mask]) + sealed[place + 1 :]
