"""Tensors of the 10.x wire: bytes as captured, every array there and back, and nothing else read from a stranger."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import time
from collections.abc import Callable
from typing import Annotated, Any

import aiohttp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays
from legacy_peers import ALICE, BOB, Scale, TorchScale, target
from numpy.typing import NDArray

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Blob,
    Caller,
    Dendrite,
    Door,
    Like,
    Refused,
    ReplayGuard,
    Reply,
    Synapse,
    Tensor,
)
from ranvier.protocol.legacy.arrays import CODES, pack_array, unpack_array
from ranvier.protocol.legacy.client import legacy_request
from ranvier.protocol.legacy.signing import body_hash
from ranvier.protocol.legacy.values import json_values, read_tensor_object, read_values

CAPTURED = "hcQCbmTDxAR0eXBlozxmNMQEa2luZMQAxAVzaGFwZZICA8QEZGF0YcQYAAAAAAAAgD8AAABAAABAQAAAgEAAAKBA"
"""The buffer of float32 arange(6).reshape(2, 3), by the official package."""
SCALAR = b"\x83\xc4\x02nd\xc2\xc4\x04type\xa3<i8\xc4\x04data\xc4\x08\x15\0\0\0\0\0\0\0"
"""numpy.int64(21), by the official package."""
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)
ANY = arrays.arrays(
    some.sampled_from([np.dtype(name) for name in CODES]),
    arrays.array_shapes(min_dims=0, max_dims=6, min_side=0),
)


def test_the_bytes_are_the_captured_ones() -> None:
    assert base64.b64encode(pack_array(Tensor.of(ARRAY))).decode() == CAPTURED
    assert unpack_array(SCALAR) == Tensor.of(np.array(21))


def test_the_hash_is_the_captured_one() -> None:
    class Captured(Synapse):
        required_hash_fields = ("t",)
        t: Tensor

    captured = "66a6600ecfc35c519bed2a1d6ff14e324a396089114d93799898999513b80f36"
    assert body_hash(Captured(t=Tensor.of(ARRAY))) == captured
    assert body_hash(Captured(t=Tensor.of(ARRAY)), torch=True) != captured


@given(ANY)
def test_every_array_comes_back_as_it_was(array: NDArray[Any]) -> None:
    tensor = Tensor.of(array)
    assert unpack_array(pack_array(tensor)) == tensor


@pytest.mark.parametrize("shape", [(1,) * 16, (1,) * 32, (300, 2), (70_000, 1), (0, 1 << 33), (0, 65_535)])
def test_long_shapes_and_long_data_come_back(shape: tuple[int, ...]) -> None:
    tensor = Tensor.of(np.zeros(shape, np.int8))
    assert unpack_array(pack_array(tensor)) == tensor


def accepted_only_as_written(packed: bytes) -> None:
    """No two writings of one array: whatever is accepted is exactly what would have been written for it."""
    try:
        found = unpack_array(packed)
    except ValueError:
        return
    assert pack_array(found) == packed


@given(ANY, some.data())
def test_bytes_that_were_changed_are_another_array_or_none(
    array: NDArray[Any], data: some.DataObject
) -> None:
    packed = bytearray(pack_array(Tensor.of(array)))
    packed[data.draw(some.integers(0, len(packed) - 1))] = data.draw(some.integers(0, 255))
    accepted_only_as_written(bytes(packed))


@given(some.binary(max_size=64), some.integers(0, 70))
def test_rubbish_is_refused_and_raises_nothing_else(rubbish: bytes, kept: int) -> None:
    whole = pack_array(Tensor.of(ARRAY))
    for packed in (rubbish, whole + rubbish, whole[:kept], whole[:kept] + rubbish):
        accepted_only_as_written(packed)


class Trap:
    """Would say so if it were ever unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return (pytest.fail, ("unpickled",))


def spoiled(**changes: Any) -> dict[str, Any]:
    return {"buffer": CAPTURED, "dtype": "float32", "shape": [2, 3], **changes}


def packed(kind: bytes, code: bytes, data: bytes) -> str:
    """A msgpack_numpy map of one element, of whatever kind and type."""
    head = b"\x85\xc4\x02nd\xc3\xc4\x04type" + code + b"\xc4\x04kind\xc4" + bytes([len(kind)]) + kind
    return base64.b64encode(head + b"\xc4\x05shape\x90\xc4\x04data\xc4" + bytes([len(data)]) + data).decode()


OBJECT = packed(b"O", b"\xa3|O8", pickle.dumps(Trap())[:255])
ONE = base64.b64encode(pack_array(Tensor.of(np.ones(1)))).decode()
SPOILED = {
    "more bytes": spoiled(buffer=base64.b64encode(base64.b64decode(CAPTURED) + b"\0").decode()),
    "a pickle": spoiled(buffer=OBJECT, dtype="object", shape=[0]),
    "a pickle as numbers": spoiled(buffer=OBJECT),
    "a record": spoiled(buffer=packed(b"V", b"\x91\x92\xa1a\xa3<i4", b"\0" * 4)),
    "big-endian": spoiled(buffer=packed(b"", b"\xa3>f4", b"\0" * 4), shape=[0]),
    "complex": spoiled(buffer=packed(b"", b"\xa3<c8", b"\0" * 8), dtype="complex64", shape=[0]),
    "another type": spoiled(dtype="int32"),
    "no type": spoiled(dtype=None),
    "another shape": spoiled(shape=[3, 2]),
    "a flat shape": spoiled(shape=[6]),
    "a shape as text": spoiled(shape="[2, 3]"),
    "a shape of truths": spoiled(buffer=ONE, dtype="float64", shape=[True]),
    "a shape of fractions": spoiled(buffer=ONE, dtype="float64", shape=[1.0]),
    "no buffer": spoiled(buffer=None),
    "an empty buffer": spoiled(buffer=""),
    "no base64": spoiled(buffer=CAPTURED + "?"),
    "more members": spoiled(more=1),
    "no tensor": "hello",
}


@pytest.mark.parametrize("case", SPOILED)
async def test_a_spoiled_tensor_runs_nothing(case: str) -> None:
    answered = await posted({"values": SPOILED[case]})
    assert answered == (422, 0)


async def test_tensors_stand_only_where_they_are_declared() -> None:
    assert await posted({"factor": spoiled()}) == (422, 0)
    assert await posted({"values": spoiled(dtype="torch.float32")}) == (
        422,
        0,
    )  # beside one with numpy's name


async def test_a_changed_tensor_is_refused_where_its_field_is_signed() -> None:
    other = base64.b64encode(pack_array(Tensor.of(ARRAY + 1))).decode()
    assert await posted({"values": spoiled(buffer=other)}) == (401, 0)
    assert await posted({}) == (200, 1)


async def posted(changes: dict[str, Any]) -> tuple[int, int]:
    """The status for a request that was changed after it was signed, and how often the handler ran."""
    runs = []

    async def answer(request: Scale, caller: Caller) -> Scale.Reply:
        runs.append(request)
        return Scale.Reply(result=request.values)

    request = Scale(values=Tensor.of(ARRAY), more=[Tensor.of(ARRAY)])
    headers, body = legacy_request(ALICE, target(1), request, 5.0, time.time_ns())
    content = {**json.loads(body), **copy.deepcopy(changes)}
    async with (
        Axon(BOB, door=Door.open(), legacy=True, replay=ReplayGuard()).serve(Scale, answer) as axon,
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{axon.port}/Scale", headers=headers, json=content) as response,
    ):
        return response.status, len(runs)


async def ask(synapse: Synapse, handler: Any) -> Any:
    async with (
        Axon(BOB, door=Door.open(), legacy=True).serve(type(synapse), handler) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite,
    ):
        return await dendrite.ask_legacy(target(axon.port), synapse, deadline=5.0)


@pytest.mark.parametrize("kind", [Scale, TorchScale])
async def test_one_class_carries_tensors_on_both_wires(kind: type[Scale]) -> None:
    async def double(request: Scale, caller: Caller) -> Scale.Reply:
        return Scale.Reply(result=Tensor.of(request.values.array * 2))

    tensor = Tensor.of(ARRAY)
    async with (
        Axon(BOB, door=Door.open(), legacy=True).serve(kind, double) as axon,
        Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite,
    ):
        new = await dendrite.ask(target(axon.port), kind(values=tensor), deadline=5.0)
        old = await dendrite.ask_legacy(target(axon.port), kind(values=tensor), deadline=5.0)
    for outcome in (new, old):
        assert isinstance(outcome, Answered), outcome
        assert outcome.reply.result == Tensor.of(ARRAY * 2)
    assert (new.proven, old.proven) == (True, False)


async def test_an_answer_names_types_as_its_request_did() -> None:
    """Whatever the axon's class says: a process in either way of naming refuses the other's."""
    for kind, named in ((Scale, "float32"), (TorchScale, "torch.float32")):
        request = kind(values=Tensor.of(ARRAY))
        headers, body = legacy_request(ALICE, target(1), request, 5.0, time.time_ns())
        assert json.loads(body)["values"] == spoiled(dtype=named)

        async def echo(asked: Any, caller: Caller) -> Scale.Reply:
            return Scale.Reply(result=asked.values)

        async with (
            Axon(BOB, door=Door.open(), legacy=True, replay=ReplayGuard()).serve(Scale, echo) as axon,
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{axon.port}/Scale", headers=headers, data=body) as response,
        ):
            content = await response.json()
        assert content["result"] == content["values"] == spoiled(dtype=named)


async def test_a_reply_that_10x_cannot_hold_fails_at_its_handler_and_nowhere_else() -> None:
    async def complex_numbers(request: Scale, caller: Caller) -> Scale.Reply:
        return Scale.Reply(result=Tensor.of(np.zeros(2, np.complex64)))

    outcome = await ask(Scale(values=Tensor.of(ARRAY)), complex_numbers)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.proven) == ("http-409", False)


async def test_a_request_that_10x_cannot_hold_is_its_author_s_error() -> None:
    async with Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
        with pytest.raises(ValueError, match="bfloat16 does not travel"):
            words = Tensor.bfloat16(np.zeros(2, np.uint16))
            await dendrite.ask_legacy(target(1), Scale(values=words), deadline=5.0)


def test_fields_beside_tensors_travel_as_they_would_without() -> None:
    class Picture(Synapse):
        size: tuple[int, int]
        image: Blob
        raw: bytes
        label: Annotated[Tensor, Like("float32", (None, 3))]
        by_name: dict[str, Tensor]
        none: Tensor | None = None

        class Reply(Reply):
            pass

    tensor = Tensor.of(ARRAY)
    picture = Picture(size=(2, 3), image=Blob.of(b"png"), raw=b"\xff\0", label=tensor, by_name={"a": tensor})
    written = json.loads(json.dumps(json_values(picture, torch=False)))
    assert (written["size"], written["image"], written["raw"]) == ([2, 3], "cG5n", "_wA=")
    assert written["by_name"]["a"] == written["label"] == spoiled()
    assert read_values(Picture, {**written, "of nobody's concern": 1}) == (picture, False)


def test_a_tensor_in_a_field_of_anything_is_refused() -> None:
    """It would be read as one there, and nobody would find it."""

    class Free(Synapse):
        tensor: Tensor
        anything: dict[str, Any]

    content = {"tensor": spoiled(), "anything": {"buffer": 1}}
    assert read_values(Free, content)[0].anything == {"buffer": 1}
    with pytest.raises(ValueError, match="where none is declared"):
        read_values(Free, {**content, "anything": {"x": spoiled()}})


def test_what_a_tensor_says_of_itself_is_compared_with_its_bytes() -> None:
    assert read_tensor_object(spoiled()) == (Tensor.of(ARRAY), False)
    with pytest.raises(ValueError, match="not that of its buffer"):
        read_tensor_object(spoiled(dtype="float16"))
