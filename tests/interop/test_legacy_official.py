"""Both directions of the 10.x wire against the official 10.5.0 package: plain, with hashes, streams, tensors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from legacy_peers import (
    ALICE,
    BOB,
    Chat,
    Scale,
    TorchScale,
    needs_official,
    official_axon,
    official_dendrite,
)
from pydantic import BaseModel, Field

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Code,
    Dendrite,
    Door,
    Invalid,
    Refusal,
    Refused,
    Reply,
    Synapse,
    Tensor,
    TimedOut,
)

pytestmark = [needs_official, pytest.mark.slow]
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


class Echo(Synapse):
    text: str
    tags: list[str] = Field(default_factory=list)

    class Reply(Reply):
        answer: str


class HashedEcho(Echo):
    required_hash_fields: ClassVar[tuple[str, ...]] = ("text", "tags")


HashedEcho.__name__ = "Echo"


class Point(BaseModel):
    x: int
    y: int


class Needy(Synapse):
    """What official dendrites cannot ask: they write no value that their axon could read for a model or a tensor."""

    required_hash_fields: ClassVar[tuple[str, ...]] = ("values", "point")
    values: Tensor
    point: Point

    class Reply(Reply):
        result: Tensor


class Nobody(Echo):
    """Nobody serves it."""


async def echo(request: Echo, caller: Caller) -> Echo.Reply:
    return Echo.Reply(answer=f"{request.text} {len(request.tags)} {caller.hotkey}")


async def chat(request: Chat, caller: Caller) -> AsyncIterator[Any]:
    if request.prompt == "decline":
        raise Refusal(Code.DECLINED, "not today")
    for piece in ("grüße ", "from ", request.prompt):
        yield piece
    if request.prompt == "break":
        raise RuntimeError("the model died")
    yield Chat.Reply(completion=f"grüße from {request.prompt}")


async def scale(request: Scale, caller: Caller) -> Scale.Reply:
    assert request.more == [request.values]
    return Scale.Reply(result=Tensor.of((request.values.array * request.factor).astype(request.values.dtype)))


def dendrite() -> Dendrite:
    return Dendrite(ALICE, addresses=AddressPolicy.local())


@pytest.mark.parametrize(("mode", "synapse"), [("plain", Echo), ("hash", HashedEcho)])
async def test_the_official_dendrite_asks_our_axon(mode: str, synapse: type[Echo], tmp_path: Path) -> None:
    async with Axon(BOB, door=Door.open(), legacy=True).serve(synapse, echo) as axon:
        found = await official_dendrite(axon.port, mode, tmp_path)
    for one, text in zip(found, ("hello", "grüße"), strict=True):
        assert one["answer"] == f"{text} 2 {ALICE.ss58_address}"
        assert (one["status"], one["said"], one["axon"]) == (200, "Success", BOB.ss58_address)
        assert 0 <= float(one["took"]) < 60


async def test_the_official_dendrite_asks_whether_our_axon_is_there(tmp_path: Path) -> None:
    async with Axon(BOB, door=Door.open(), legacy=True).serve(Echo, echo) as axon:
        (found,) = await official_dendrite(axon.port, "ping", tmp_path)
    assert found["status"] == 200


async def test_the_official_dendrite_streams_from_our_axon(tmp_path: Path) -> None:
    async with Axon(BOB, door=Door.open(), legacy=True).serve(Chat, chat) as axon:
        whole, declined, broken = await official_dendrite(axon.port, "stream", tmp_path)
    assert (whole["status"], whole["completion"], whole["text"]) == (
        200, "grüße from you", "grüße from you",
    )  # fmt: skip
    assert whole["axon"] == BOB.ss58_address
    assert (declined["status"], declined["said"]) == (409, "declined: not today")
    assert broken["text"] == "grüße from break"
    assert broken["status"] != 200


@pytest.mark.parametrize("torch", [False, True])
async def test_the_official_dendrite_sends_tensors_to_our_axon(torch: bool, tmp_path: Path) -> None:
    """Hashed ones; its axon-side names are given back, whatever our class says."""
    async with Axon(BOB, door=Door.open(), legacy=True).serve(Scale, scale) as axon:
        found = await official_dendrite(axon.port, "tensor", tmp_path, torch=torch)
    assert [one["status"] for one in found] == [200] * 3, found
    prefix = "torch." if torch else ""
    assert [one["result"] for one in found] == [
        {"values": (ARRAY * 3).tolist(), "dtype": f"{prefix}float32"},
        {"values": 21, "dtype": f"{prefix}int64"},
        {"values": [], "dtype": f"{prefix}uint8"},
    ]


@pytest.mark.parametrize(("mode", "synapse"), [("plain", Echo), ("hash", HashedEcho)])
async def test_our_dendrite_asks_the_official_axon(mode: str, synapse: type[Echo], tmp_path: Path) -> None:
    async with official_axon(mode, tmp_path) as bob, dendrite() as asks:
        outcome = await asks.ask_legacy(bob, synapse(text="hello", tags=["a"]), deadline=20.0)
        unknown = await asks.ask_legacy(bob, Nobody(text="hello"), deadline=20.0)
    assert isinstance(outcome, Answered), outcome
    assert not outcome.proven
    assert outcome.reply.answer == f"hello 1 {ALICE.ss58_address}"
    assert isinstance(unknown, Refused)
    assert unknown.code == "http-404"


async def test_our_dendrite_streams_from_the_official_axon(tmp_path: Path) -> None:
    async with official_axon("plain", tmp_path) as bob:
        async with dendrite() as asks:
            plain = await asks.ask_legacy(bob, Chat(prompt="you"), deadline=20.0)
        found = {}
        for prompt in ("you", "break", "hang", "die"):
            async with (
                dendrite() as asks
            ):  # after a failure that server closes its connection, perhaps too late
                deadline = 3.0 if prompt == "hang" else 20.0
                stream = asks.stream_legacy(bob, Chat(prompt=prompt), deadline=deadline)
                found[prompt] = [item async for item in stream]
    *pieces, whole = found["you"]
    assert "".join(pieces) == "grüße from you"
    assert isinstance(whole, Answered)
    assert (whole.proven, whole.reply.completion) == (False, "grüße from you")
    # Its server ends a stream whose handler failed as it ends a whole one: docs/legacy.md says so.
    assert isinstance(found["break"][-1], Answered)
    assert isinstance(found["die"][-1], Invalid)
    assert found["die"][-1].partial == "grüße from die"
    assert isinstance(found["hang"][-1], TimedOut)
    assert found["hang"][-1].partial == "grüße from hang"
    assert isinstance(plain, Invalid)
    assert "stream_legacy" in plain.reason


@pytest.mark.parametrize(("torch", "synapse"), [(False, Scale), (True, TorchScale)])
async def test_our_dendrite_sends_tensors_to_the_official_axon(
    torch: bool, synapse: type[Scale], tmp_path: Path
) -> None:
    async with official_axon("plain", tmp_path, torch=torch) as bob, dendrite() as asks:
        for array in (ARRAY, np.array(7), np.zeros((0,), np.uint8)):
            tensor = Tensor.of(array)
            outcome = await asks.ask_legacy(
                bob, synapse(values=tensor, factor=3, more=[tensor]), deadline=20.0
            )
            assert isinstance(outcome, Answered), outcome
            assert outcome.reply.result == Tensor.of(array * 3 if array.size else array)


async def test_our_dendrite_sends_what_the_official_one_cannot(tmp_path: Path) -> None:
    asked = Needy(values=Tensor.of(ARRAY), point=Point(x=2, y=1))
    async with official_axon("plain", tmp_path) as bob, dendrite() as asks:
        outcome = await asks.ask_legacy(bob, asked, deadline=20.0)
    assert isinstance(outcome, Answered), outcome
    assert outcome.reply.result.array.tolist() == (ARRAY * 2 + 1).tolist()
