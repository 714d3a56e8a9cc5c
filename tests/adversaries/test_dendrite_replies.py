"""Hostile servers and hostile addresses: whatever a peer does becomes an outcome that costs that peer alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hostile_miner import (
    ALICE,
    BOB,
    GOOD,
    JSON,
    MALLORY,
    Behaviour,
    Echo,
    Writer,
    drip,
    echo,
    endless,
    endless_headers,
    frames,
    head,
    hostile,
    raw,
    replying,
    silent,
)  # fmt: skip

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Dendrite,
    Door,
    Invalid,
    Limits,
    Refused,
    Target,
    TimedOut,
    Unreachable,
)
from ranvier.protocol.replies import sign_reply
from ranvier.protocol.streams import STREAM_TYPE

SOON, LONG = 0.3, 20.0
LIMITS = Limits(max_reply=20_000)


async def cut(asked: bytes, writer: Writer) -> None:
    signature = sign_reply(BOB, asked, 200, JSON, GOOD)
    writer.write(head(length=len(GOOD), X_Ranvier_Signature=signature) + GOOD[:-2])


HOSTILE: dict[str, tuple[Behaviour, type[Any], str]] = {
    "huge declared body": (replying(b"x" * 30_000), Invalid, "longer than 20000 bytes"),
    "endless body": (endless, Invalid, "longer than 20000 bytes"),
    "huge refusal": (replying(b"x" * 5000, status=429), Invalid, "longer than 4096 bytes"),
    "endless drip": (drip, TimedOut, ""),
    "silence": (silent, TimedOut, ""),
    "endless headers": (endless_headers, Invalid, ""),
    "garbage": (raw(b"\x00\xff\x13 garbage \r\n\r\n"), Invalid, ""),
    "no bytes at all": (raw(b""), Invalid, "the connection broke"),
    "bad length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), Invalid, ""),
    "bad chunk": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Invalid, ""),
    "body of raw bytes": (replying(bytes(range(256))), Invalid, "not what Echo declares"),
    "unsigned 200": (replying(GOOD, key=None), Invalid, "not signed"),
    "signature of no hex": (replying(GOOD, key=None, X_Ranvier_Signature="0xzz"), Invalid, "not hexadecimal"),
    "short signature": (replying(GOOD, key=None, X_Ranvier_Signature="0xab"), Invalid, "not signed by"),
    "wrong signer": (replying(GOOD, key=MALLORY), Invalid, "not signed by"),
    "reply to another request": (replying(GOOD, digest=b"\x07" * 32), Invalid, "not signed by"),
    "redirect": (replying(b"", status=307, Location="http://127.0.0.1:1/Echo"), Invalid, "neither"),
    "no content": (replying(b"", status=204), Invalid, "neither"),
    "compressed": (replying(GOOD, Content_Encoding="gzip"), Invalid, "compressed"),
    "nested JSON": (replying(b"[" * 9000), Invalid, "not what Echo declares"),
    "NaN": (replying(b'{"text":"a","number":NaN}'), Invalid, "not what Echo declares"),
    "infinity": (replying(b'{"text":"a","number":1e999}'), Invalid, "not what Echo declares"),
    "lone surrogate": (replying(b'{"text":"\\ud800"}'), Invalid, "not what Echo declares"),
    "unknown field": (replying(b'{"text":"a","more":1}'), Invalid, "not what Echo declares"),
    "cut body": (cut, Invalid, "the connection broke"),
    "refusal of no JSON": (replying(b"<html>", status=500), Invalid, "without a refusal's code"),
    "refusal of nested JSON": (replying(b"[" * 4000, status=500), Invalid, "without a refusal's code"),
    "refusal that is a list": (replying(b"[1]", status=429), Invalid, "without a refusal's code"),
}


@pytest.fixture
async def dendrite() -> AsyncIterator[Dendrite]:
    async with Dendrite(ALICE, limits=LIMITS, addresses=AddressPolicy.local()) as dendrite:
        yield dendrite


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_reply_is_an_outcome(case: str, dendrite: Dendrite) -> None:
    behaviour, kind, reason = HOSTILE[case]
    async with hostile(behaviour) as target:
        deadline = SOON if kind is TimedOut else LONG
        outcome = await dendrite.ask(target, Echo(text="hello"), deadline=deadline)
        assert isinstance(outcome, kind), outcome
        if isinstance(outcome, Invalid):
            assert reason in outcome.reason
            assert len(outcome.reason) < 400


async def test_all_at_once_cost_the_honest_one_nothing(dendrite: Dendrite) -> None:
    async with contextlib.AsyncExitStack() as stack:
        targets = [
            await stack.enter_async_context(hostile(behaviour)) for behaviour, _, _ in HOSTILE.values()
        ]
        axon = await stack.enter_async_context(Axon(BOB, door=Door.open()).serve(Echo, echo))
        targets.append(Target(BOB.ss58_address, "127.0.0.1", axon.port))
        outcomes = await dendrite.ask_all([(target, Echo(text="hello")) for target in targets], deadline=5.0)
        *others, honest = outcomes
        assert [type(outcome) for outcome in others] == [kind for _, kind, _ in HOSTILE.values()]
        assert [outcome.target for outcome in outcomes] == targets
        assert isinstance(honest, Answered)
        assert honest.reply == Echo.Reply(text="hello")


@pytest.mark.parametrize(
    "wait",
    ["1" + "0" * 3900, "1e999", "-1", "NaN", "true", '"soon"', "[]", "null", "1e9"],
    ids=lambda wait: wait[:8],
)
async def test_a_wait_that_nobody_can_wait_is_none(wait: str, dendrite: Dendrite) -> None:
    body = b'{"code":"busy","retry_after":' + wait.encode() + b"}"
    async with hostile(replying(body, status=429)) as target:
        outcome = await dendrite.ask(target, Echo(text="hello"), deadline=LONG)
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.retry_after, outcome.proven) == ("busy", None, True)


@pytest.mark.parametrize("key", [None, MALLORY], ids=["unsigned", "wrong signer"])
async def test_a_refusal_that_the_peer_did_not_sign_is_not_proven(key: Any, dendrite: Dendrite) -> None:
    body = b'{"code":"busy","retry_after":2}'
    async with hostile(replying(body, status=429, key=key)) as target:
        outcome = await dendrite.ask(target, Echo(text="hello"), deadline=LONG)
        assert isinstance(outcome, Refused)
        assert (outcome.retry_after, outcome.proven) == (2.0, False)


def deep(levels: int) -> bytes:
    return b'{"reply":{"text":' + b"[" * levels + b"]" * levels + b"}}"


A, B, END = {"piece": "a"}, {"piece": "b"}, {"reply": {"text": "ab"}}
STREAMS: dict[str, tuple[Behaviour, str]] = {
    "forged trailer": (frames(A, END, key=MALLORY), "not signed by"),
    "trailer of no hex": (
        frames(A, END, change=lambda x: [*x[:-1], b'{"signature":"zz"}']),
        "not hexadecimal",
    ),
    "trailer that is a list": (
        frames(A, END, change=lambda x: [*x[:-1], b'{"signature":[]}']),
        "not hexadecimal",
    ),
    "reordered": (frames(A, B, END, change=lambda x: [x[1], x[0], *x[2:]]), "not signed by"),
    "one dropped": (frames(A, B, END, change=lambda x: x[1:]), "not signed by"),
    "one twice": (frames(A, B, END, change=lambda x: [x[0], *x]), "not signed by"),
    "spelled otherwise": (frames(A, END, change=lambda x: [x[0] + b" ", *x[1:]]), "not signed by"),
    "cut before the trailer": (frames(A, END, change=lambda x: x[:-1]), "cut short"),
    "cut in a line": (frames(A, END, change=lambda x: [x[0], x[1][:-3]]), "not JSON"),
    "signed before its end": (frames(A, B), "before its end"),
    "goes on after its end": (frames(END, A), "goes on"),
    "frames after the trailer": (frames(A, END, change=lambda x: [*x, x[0]]), "out of place"),
    "two replies": (frames(END, END), "goes on"),
    "reply and refusal": (frames(END, {"refusal": {"code": "busy"}}), "goes on"),
    "two keys": (frames({"piece": "a", "reply": {}}), "out of place"),
    "unknown kind": (frames({"other": 1}), "no known kind"),
    "piece of no text": (frames({"piece": 7}), "no known kind"),
    "not JSON": (frames(b"hello"), "not JSON"),
    "nested JSON": (frames(b"[" * 9000), "not JSON"),
    "nested reply": (frames(deep(900)), ""),
    "more nested reply": (frames(deep(980)), ""),
    "reply of another shape": (frames({"reply": {"text": 1}}), "not what Echo declares"),
    "NaN": (frames(b'{"reply":{"text":"a","number":NaN}}'), "not JSON"),
    "too long": (frames({"piece": "x" * 30_000}, END), "longer than 20000 bytes"),
    "endless line": (raw(head(kind=STREAM_TYPE) + b"x" * 30_000), "longer than 20000 bytes"),
    "empty": (raw(head(kind=STREAM_TYPE)), "cut short"),
    "broken chunks": (
        raw(head(kind=STREAM_TYPE, Transfer_Encoding="chunked") + b"5\r\nab"),
        "connection broke",
    ),
    "compressed": (
        raw(head(kind=STREAM_TYPE, Content_Encoding="gzip") + b"\x1f\x8b\x08\n"),
        "compressed by a header",
    ),
}


async def streamed(dendrite: Dendrite, target: Target, deadline: float = LONG) -> tuple[list[str], Any]:
    items = [item async for item in dendrite.stream(target, Echo(text="hello"), deadline=deadline)]
    assert not isinstance(items[-1], str)
    return [item for item in items if isinstance(item, str)], items[-1]


@pytest.mark.parametrize("case", STREAMS)
async def test_a_hostile_stream_is_invalid(case: str, dendrite: Dendrite) -> None:
    behaviour, reason = STREAMS[case]
    async with hostile(behaviour) as target:
        _, outcome = await streamed(dendrite, target)
        assert isinstance(outcome, Invalid), outcome
        assert reason in outcome.reason


async def test_the_same_stream_unharmed_is_answered(dendrite: Dendrite) -> None:
    async with hostile(frames(A, B, END)) as target:
        pieces, outcome = await streamed(dendrite, target)
        assert (pieces, isinstance(outcome, Answered)) == (["a", "b"], True)


async def test_a_stream_that_drips_for_ever_times_out(dendrite: Dendrite) -> None:
    async def behave(asked: bytes, writer: Writer) -> None:
        writer.write(head(kind=STREAM_TYPE))
        while True:
            writer.write(b'{"piece":"a"}\n')
            await writer.drain()
            await asyncio.sleep(0.01)

    async with hostile(behave) as target:
        pieces, outcome = await streamed(dendrite, target, SOON)
        assert set(pieces) <= {"a"}
        assert isinstance(outcome, TimedOut)


async def test_a_whole_reply_to_a_stream_call_is_no_answer(dendrite: Dendrite) -> None:
    async with hostile(replying(GOOD)) as target:
        _, outcome = await streamed(dendrite, target)
        assert isinstance(outcome, Invalid)


@pytest.mark.parametrize("port", [0, -1, 65536, 10**12])
async def test_ports_that_are_none(port: int, dendrite: Dendrite) -> None:
    outcome = await dendrite.ask(
        Target(BOB.ss58_address, "127.0.0.1", port), Echo(text="hello"), deadline=LONG
    )
    assert isinstance(outcome, Unreachable)
