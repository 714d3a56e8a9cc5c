"""Every numpy type that means the same on every machine, and bfloat16: the same values, and no copy of them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ranvier.protocol import Blob, Reply, Synapse, Tensor
from ranvier.protocol.codec import encode, read_request
from ranvier.protocol.frame import read_frame, write_frame
from ranvier.protocol.query import Query

SIZED = {"S": "S5", "U": "U3", "M": "M8[ms]", "m": "m8[ns]"}
UNFIT = {"g": "long double", "G": "complex of them", "O": "objects", "V": "records"}
"""Their bytes are addresses, or differ from one machine to the next."""
TYPES = sorted({np.dtype(SIZED.get(code, code)).str for code in np.typecodes["All"] if code not in UNFIT})
SHAPES = [(), (0,), (3,), (2, 0, 4), (2, 3, 4)]


class Grid(Synapse):
    values: Tensor
    picture: Blob = Blob.of(b"")

    class Reply(Reply):
        pass


def filled(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Any bits: NaN, infinity and minus zero among them."""
    kind = np.dtype(dtype)
    count = int(np.prod(shape))
    if kind.kind in "bU":
        return (np.arange(count) % 2).astype(kind).reshape(shape)
    raw = np.random.default_rng(1).integers(0, 256, count * kind.itemsize, dtype=np.uint8)
    return raw.view(kind).reshape(shape)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("dtype", TYPES)
def test_each_type_is_read_as_it_was_written(dtype: str, order: str) -> None:
    for shape in SHAPES:
        array = filled(dtype, shape)
        sent = Grid(values=Tensor.of(array.astype(array.dtype.newbyteorder(order))))
        for query in (Query(binary=True), Query()):
            body = encode(sent, binary=query.binary).body
            read = read_request(Grid, body, query, 1 << 20).values.array
            assert (read.dtype, read.shape) == (array.dtype.newbyteorder("<"), shape)
            assert read.tobytes() == array.astype(read.dtype).tobytes()


def test_there_are_all_kinds_of_types() -> None:
    assert {np.dtype(each).kind for each in TYPES} == set("biufcSUMm")
    assert len(TYPES) >= 18
    for code in UNFIT:
        with pytest.raises(ValueError, match="no element type that travels"):
            Tensor.of(np.zeros(2, np.dtype("V4" if code == "V" else code)))


def test_brain_floats() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    frame = write_frame(Grid(values=Tensor.bfloat16(bits)))
    read = read_frame(Grid, frame).values
    assert (read.dtype, read.shape) == ("bfloat16", (256, 256))
    assert np.array_equal(read.bits, bits)
    assert read.float32().view(np.uint32).tobytes() == (bits.astype(np.uint32) << 16).tobytes()


def test_nothing_is_copied_but_into_the_one_body_that_is_sent() -> None:
    array = np.arange(1 << 20, dtype=np.float32)
    tensor, picture = Tensor.of(array), b"x" * (1 << 22)
    assert np.shares_memory(tensor.array, array)
    frame = write_frame(Grid(values=tensor, picture=Blob.of(picture)))
    tracemalloc.start()
    read = read_frame(Grid, frame)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 16
    whole = np.frombuffer(frame, np.uint8)
    assert np.shares_memory(read.values.array, whole)
    assert np.shares_memory(np.frombuffer(read.picture.data, np.uint8), whole)
    assert not read.values.array.flags.writeable
    assert np.array_equal(read.values.array, array)
