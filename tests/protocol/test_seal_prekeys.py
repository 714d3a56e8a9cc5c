"""Prekeys: whose they are, how long they live, and that nobody can make their owner work."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.protocol import InvalidReply, Refusal, SigningError, keypair_from_uri
from ranvier.protocol import prekeys as module
from ranvier.protocol.codes import Code
from ranvier.protocol.prekeys import (
    GRACE_NS,
    MARGIN_NS,
    MAX_DOCUMENT,
    MAX_LIFE_NS,
    Prekey,
    PrekeyCache,
    PrekeyRing,
    sign_prekey,
)
from ranvier.protocol.seal import SealContext, seal_request
from ranvier.testing.loop import SimulatedLoop

BOB, CAROL = keypair_from_uri("//Bob"), keypair_from_uri("//Charlie")
START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
LIFE, OVERLAP = 600 * SECOND, 60 * SECOND


class Clock:
    """Shows what a test set it to."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> int:
        return self.time


@dataclass
class CountingKey:
    """Bob's key, and how often it signed."""

    signed: int = 0

    @property
    def ss58_address(self) -> str:
        return BOB.ss58_address

    def sign(self, data: bytes) -> bytes:
        self.signed += 1
        return BOB.sign(data)


def context(prekey: Prekey) -> SealContext:
    return SealContext("sender", prekey.hotkey, f"/Echo?seal={prekey.id}", START)


def sealed_to(prekey: Prekey) -> bytes:
    return seal_request(prekey, context(prekey), b"secret")[0]


def opens(ring: PrekeyRing, prekey: Prekey) -> bool:
    """Whether ``ring`` opens what was sealed to ``prekey``; if not, it says that it does not know it."""
    try:
        body, _ = ring.open(prekey.id, sealed_to(prekey), context(prekey))
    except Refusal as refusal:
        assert refusal.code is Code.UNKNOWN_PREKEY
        return False
    return body == b"secret"


# The document


def test_a_published_prekey_is_read_and_used() -> None:
    ring = PrekeyRing(BOB, now=Clock())
    prekey = Prekey.read(ring.current().to_json(), BOB.ss58_address, START)
    assert prekey == ring.current() and prekey.expires == START + LIFE + OVERLAP
    assert opens(ring, prekey)
    document = json.loads(prekey.to_json())
    assert list(document) == ["hotkey", "id", "public", "expires", "signature"]
    assert len(prekey.to_json()) < MAX_DOCUMENT


@settings(max_examples=300)
@given(st.data())
def test_one_byte_changed_anywhere_in_a_prekey_and_it_is_refused(data: Any) -> None:
    document = DOCUMENT.to_json()
    place, mask = data.draw(st.integers(0, len(document) - 1)), data.draw(st.integers(1, 255))
    bad = document[:place] + bytes([document[place] ^ mask]) + document[place + 1 :]
    with pytest.raises(InvalidReply):
        Prekey.read(bad, BOB.ss58_address, START)


@given(st.binary(max_size=600) | st.text(max_size=200).map(str.encode))
def test_no_bytes_at_all_make_anything_but_a_refusal(body: bytes) -> None:
    for bad in (body, DOCUMENT.to_json()[: len(body)], DOCUMENT.to_json() + body + b" "):
        with pytest.raises(InvalidReply):
            Prekey.read(bad, BOB.ss58_address, START)


def test_a_prekey_of_another_hotkey_is_refused_however_it_is_labelled() -> None:
    private = X25519PrivateKey.generate()
    carols = sign_prekey(CAROL, private, "0" * 32, START + LIFE)
    for bad in (carols, replace(carols, hotkey=BOB.ss58_address)):
        with pytest.raises(InvalidReply):
            Prekey.read(bad.to_json(), BOB.ss58_address, START)
    assert Prekey.read(carols.to_json(), CAROL.ss58_address, START) == carols


@pytest.mark.parametrize(
    ("expires", "good"),
    [(-1, False), (0, False), (1, True), (MAX_LIFE_NS, True), (MAX_LIFE_NS + 1, False), (10**18, False)],
)
def test_a_prekey_is_believed_in_its_time_only(expires: int, good: bool) -> None:
    document = sign_prekey(BOB, X25519PrivateKey.generate(), "0" * 32, START + expires).to_json()
    if good:
        assert Prekey.read(document, BOB.ss58_address, START).expires == START + expires
        return
    with pytest.raises(InvalidReply, match=r"expired|too long"):
        Prekey.read(document, BOB.ss58_address, START)


def test_what_else_a_hotkey_signs_is_no_prekey() -> None:
    """The first line names what was signed: a reply's or a request's signature cannot be put under a prekey."""
    prekey = DOCUMENT
    for domain in (b"ranvier-reply/1", b"ranvier-stream/1", b"btauth/1", b"ranvier-prekey/2"):
        signature = BOB.sign(prekey.payload().replace(b"ranvier-prekey/1", domain))
        with pytest.raises(InvalidReply, match="not signed"):
            Prekey.read(replace(prekey, signature=signature).to_json(), BOB.ss58_address, START)


# The ring


def test_a_hundred_thousand_fetches_cost_one_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    class Counting:
        @staticmethod
        def generate() -> X25519PrivateKey:
            nonlocal made
            made += 1
            return X25519PrivateKey.generate()

    monkeypatch.setattr(module, "X25519PrivateKey", Counting)
    key, clock = CountingKey(), Clock()
    ring = PrekeyRing(key, now=clock)
    documents = set()
    for _ in range(100_000):
        clock.time += LIFE // 200_000
        documents.add(ring.current().to_json())
    assert len(documents) == key.signed == made == ring.rotations == len(ring) == 1


def test_ids_that_nobody_was_given_cost_no_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = PrekeyRing(BOB, now=Clock())
    ring.current()
    monkeypatch.setattr(module, "open_request", lambda *_: pytest.fail("it tried to open it"))
    for _ in range(1000):
        with pytest.raises(Refusal) as refused:
            ring.open(secrets.token_hex(16), bytes(100), context(DOCUMENT))
        assert refused.value.code is Code.UNKNOWN_PREKEY
    assert len(ring) == 1


def test_a_prekey_is_published_for_its_life_and_opens_until_its_erasure() -> None:
    clock = Clock()
    ring = PrekeyRing(BOB, now=clock)
    first = ring.current()
    clock.time = START + LIFE - 1
    assert ring.current() == first
    clock.time = START + LIFE
    second = ring.current()
    assert second.id != first.id and second.public != first.public
    assert opens(ring, first) and opens(ring, second) and len(ring) == 2
    clock.time = START + LIFE + OVERLAP + GRACE_NS  # sealed in its time, a while on its way
    assert opens(ring, first)
    clock.time += 1
    assert not opens(ring, first) and opens(ring, second) and len(ring) == 1


@given(st.lists(st.integers(-2 * LIFE, 2 * LIFE), max_size=30))
def test_whatever_the_clock_does_the_published_prekey_opens_and_none_lives_too_long(steps: list[int]) -> None:
    clock = Clock()
    ring = PrekeyRing(BOB, now=clock)
    for step in steps:
        clock.time += step
        prekey = ring.current()
        assert Prekey.read(prekey.to_json(), BOB.ss58_address, clock.time) == prekey
        assert opens(ring, prekey)
        for held in ring._held.values():
            assert -GRACE_NS <= held.expires - clock.time <= LIFE + OVERLAP + 2 * SECOND


def test_a_clock_that_steps_back_prolongs_no_prekey() -> None:
    clock = Clock()
    ring = PrekeyRing(BOB, now=clock)
    old = ring.current()
    clock.time -= SECOND  # set right by little: nothing changes
    assert ring.current() == old
    clock.time -= 3600 * SECOND
    assert not opens(ring, old) and ring.current() != old


def test_prekeys_are_erased_in_time_while_nobody_asks() -> None:
    loop = SimulatedLoop()
    try:
        ring = PrekeyRing(BOB, now=lambda: START + int(loop.time() * SECOND))
        ring.watch(loop)
        first = ring.current()
        loop.run_until_complete(asyncio.sleep(605))
        second = ring.current()
        loop.run_until_complete(asyncio.sleep(60 + 12 - 5 + 10))
        assert [*ring._held] == [second.id] != [first.id]
        loop.run_until_complete(asyncio.sleep(615))
        assert len(ring) == 0
        third = ring.current()  # whoever asks then gets a new one, which is watched, too
        assert opens(ring, third)
        loop.run_until_complete(asyncio.sleep(684))
        assert len(ring) == 0
    finally:
        loop.close()


def test_a_closed_ring_holds_nothing_and_waits_for_nothing() -> None:
    loop = SimulatedLoop()
    try:
        ring = PrekeyRing(BOB, now=Clock())
        prekey = ring.current()
        ring.watch(loop)
        timer = ring._timer
        assert timer is not None
        ring.close()
        assert len(ring) == 0 and timer.cancelled() and not opens(ring, prekey)
        ring.watch(loop)  # as an axon that is started again does
        assert opens(ring, ring.current())
        ring.close()
    finally:
        loop.close()


def test_a_key_that_cannot_sign_publishes_nothing() -> None:
    @dataclass
    class Public:
        ss58_address: str = BOB.ss58_address

        def sign(self, data: bytes) -> bytes:
            raise TypeError("no private half")

    ring = PrekeyRing(Public(), now=Clock())
    with pytest.raises(SigningError):
        ring.current()
    assert len(ring) == 0


@pytest.mark.parametrize(
    ("life", "overlap"), [(0, 60), (-1, 60), (600, 0), (600, 14.9), (7141, 60), (0.0, 7300)]
)
def test_times_that_no_caller_takes_are_told_at_once(life: float, overlap: float) -> None:
    with pytest.raises(ValueError, match="a prekey's life"):
        PrekeyRing(BOB, now=Clock(), life=life, overlap=overlap)
    assert PrekeyRing(BOB, now=Clock(), life=7140, overlap=60).current().expires == START + MAX_LIFE_NS


# The cache


def named(number: int, expires: int = START + LIFE) -> Prekey:
    return Prekey(f"hotkey {number}", f"{number:032x}", bytes(32), expires, bytes(64))


def test_a_cached_prekey_is_dropped_before_it_expires() -> None:
    clock = Clock()
    cache = PrekeyCache(now=clock)
    cache.put(named(1))
    clock.time = START + LIFE - MARGIN_NS - 1
    assert cache.get("hotkey 1") == named(1)
    clock.time += 1
    assert cache.get("hotkey 1") is None and len(cache) == 0


def test_a_cached_prekey_is_not_used_where_the_clock_stepped_far_back() -> None:
    clock = Clock()
    cache = PrekeyCache(now=clock)
    cache.put(named(1))
    clock.time -= MAX_LIFE_NS
    assert cache.get("hotkey 1") is None and len(cache) == 0


def test_the_cache_forgets_one_and_replaces_one() -> None:
    cache = PrekeyCache(now=Clock())
    for number in (1, 2):
        cache.put(named(number))
    newer = replace(named(1), id="f" * 32)
    cache.put(newer)
    assert cache.get("hotkey 1") == newer and len(cache) == 2
    cache.forget("hotkey 1")
    cache.forget("never seen")
    assert cache.get("hotkey 1") is None and cache.get("hotkey 2") == named(2)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60))
def test_the_cache_is_bounded_and_keeps_what_was_used_last(steps: list[tuple[bool, int]]) -> None:
    cache, used = PrekeyCache(now=Clock(), capacity=4), list[int]()
    for put, number in steps:
        if put:
            cache.put(named(number))
        if put or number in used:
            assert cache.get(f"hotkey {number}") == named(number)
            used = [other for other in used if other != number] + [number]
        else:
            assert cache.get(f"hotkey {number}") is None
        used = used[-4:]
        assert [*cache._held] == [f"hotkey {held}" for held in used]


DOCUMENT = sign_prekey(BOB, X25519PrivateKey.generate(), "0123456789abcdef" * 2, START + LIFE)
