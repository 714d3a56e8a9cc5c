"""Attention of the newest tokens on a CPU, compiled when a model is loaded: torch has no kernel for so few queries."""

from __future__ import annotations

import functools
import importlib.util
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

ABLE: Final = importlib.util.find_spec("numba") is not None
"""Without numba, torch attends to one sequence after the other."""
BITS: Final = {torch.bfloat16: torch.uint16, torch.float32: torch.uint32}
"""The dtypes that it reads, and as what numpy is to see them."""
SHARE: Final = 2048
"""Tokens seen that are worth a thread; fewer are answered sooner than one wakes."""
LOG: Final = logging.getLogger(__name__)
Integers = npt.NDArray[np.int64]


class Newest(NamedTuple):
    """One query for each row: its place in the pack, its slot, and how many tokens that has; arrays of one length."""

    places: Integers
    slots: Integers
    lengths: Integers


def suits(query: torch.Tensor, values: torch.Tensor) -> bool:
    """Whether queries of this dtype, device and size can be answered here; some models have values of another size."""
    alike = query.shape[3] == values.shape[3]
    return ABLE and alike and query.dtype in BITS and query.device.type == "cpu"


def attend_newest(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    newest: Newest,
    window: int | None,
    scaling: float,
    out: torch.Tensor,
) -> None:
    """Into ``out``, at their places, what the newest tokens see: all tokens of their slots, or the last ``window``.

    ``query`` and ``out`` have the shape (tokens, heads, size), ``keys`` and ``values`` that of the cache. Sums are of
    float32. ``out`` is contiguous. A row's numbers depend on no other row, nor on how wide the buffers are.
    """
    grouped = query.shape[1] // keys.shape[1]
    compiled = _compiled(grouped, query.shape[2], query.dtype == torch.bfloat16)
    firsts = np.maximum(newest.lengths - (window or 1 << 40), 0)
    arrays = _bits(query.contiguous()), _bits(keys.contiguous()), _bits(values.contiguous())
    columns = newest.places, newest.slots, firsts, newest.lengths
    threads = min(torch.get_num_threads(), len(newest.places), int(newest.lengths.sum()) // SHARE)

    def work(number: int) -> None:
        part = (column[number :: max(threads, 1)].copy() for column in columns)
        compiled(*arrays, *part, np.float32(scaling), _bits(out))

    if threads <= 1:
        work(0)
    else:  # the interpreter's lock is released inside
        list(_pool(torch.get_num_threads()).map(work, range(threads)))


def prepare(grouped: int, size: int, dtype: torch.dtype, device: str) -> None:
    """Compile what a model needs while it is loaded, so that no request waits for it."""
    if dtype not in BITS or device != "cpu":
        return
    if ABLE:
        _compiled(grouped, size, dtype == torch.bfloat16)
    else:
        LOG.warning(
            "numba is not installed: many chats at once are a sixth slower. pip install 'ranvier[models]'"
        )


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="attention")


def _bits(tensor: torch.Tensor) -> Any:
    return tensor.view(BITS[tensor.dtype]).numpy()


@functools.cache
def _compiled(grouped: int, size: int, half: bool) -> Any:  # noqa: C901  the loops of one kernel
    """The kernel for so many query heads on each key head, of that size. It takes a second to compile."""
    from numba import njit, types

    from ranvier.engines.text.floats import exp_of, narrow, wide

    whole = types.uint16 if half else types.uint32
    rows, integers = types.Array(whole, 3, "C"), types.int64[::1]
    buffers = types.Array(whole, 4, "C")
    signature = types.void(
        rows, buffers, buffers, integers, integers, integers, integers, types.float32, rows
    )
    one, zero = np.float32(1), np.float32(0)

    @njit(signature, fastmath=True, error_model="numpy", nogil=True)
    def attend(query, keys, values, places, slots, firsts, lengths, scaling, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901
        asked = np.empty(size, np.float32)
        seen = np.empty(size, np.float32)
        weights = np.empty(keys.shape[2], np.float32)
        for row in range(len(places)):
            first, count = firsts[row], lengths[row] - firsts[row]
            fours = count // 4 * 4
            for head in range(keys.shape[1]):
                key, value = keys[slots[row], head], values[slots[row], head]
                for member in range(grouped):
                    for d in range(size):
                        asked[d] = wide(query[places[row], head * grouped + member, d]) * scaling
                    # Four keys at a time: their sums are independent, and one load of the query serves all.
                    for at in range(0, fours, 4):
                        a, b, c, e = zero, zero, zero, zero
                        for d in range(size):
                            a += asked[d] * wide(key[first + at, d])
                            b += asked[d] * wide(key[first + at + 1, d])
                            c += asked[d] * wide(key[first + at + 2, d])
                            e += asked[d] * wide(key[first + at + 3, d])
                        weights[at], weights[at + 1], weights[at + 2], weights[at + 3] = a, b, c, e
                    for at in range(fours, count):
                        a = zero
                        for d in range(size):
                            a += asked[d] * wide(key[first + at, d])
                        weights[at] = a
                    most = weights[0]
                    for at in range(count):
                        most = max(most, weights[at])
                    total = zero
                    for at in range(count):
                        a = exp_of(weights[at] - most)
                        weights[at] = a
                        total += a
                    for d in range(size):
                        seen[d] = zero
                    for at in range(0, fours, 4):
                        a, b, c, e = weights[at], weights[at + 1], weights[at + 2], weights[at + 3]
                        for d in range(size):
                            seen[d] += (
                                a * wide(value[first + at, d])
                                + b * wide(value[first + at + 1, d])
                                + c * wide(value[first + at + 2, d])
                                + e * wide(value[first + at + 3, d])
                            )
                    for at in range(fours, count):
                        a = weights[at]
                        for d in range(size):
                            seen[d] += a * wide(value[first + at, d])
                    share = one / total
                    for d in range(size):
                        out[places[row], head * grouped + member, d] = narrow(seen[d] * share, whole)

    return attend
