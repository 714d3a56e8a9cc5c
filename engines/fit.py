"""How much memory a model takes at work, and what of it fits into a device. Counted from its shape, without torch.

The figures of a process and of its working memory are measured with `ranvier models bench` on a CPU
(docs/engines.md has both beside each other); those of a GPU follow from its data types and are not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ranvier.engines.box import Box
from ranvier.engines.llama import CONTEXT
from ranvier.engines.shape import BYTES, Shape

PROCESS: Final = {"text": 495 << 20, "image": 420 << 20, "classify": 360 << 20, "embed": 360 << 20}
"""A worker with its libraries, tokenizer included, before any weights."""
LLAMA: Final = 150 << 20
"""The same with llama.cpp."""
CUDA: Final = 600 << 20
"""What a process takes of a GPU before any weights."""
CACHE_SHARE: Final = 0.5
"""Of free memory, for keys and values: as the text engine has it."""
CPU_CACHE: Final = 4 << 30
"""The most that counts as free for that on a CPU."""
RESERVE: Final = 128 << 20
"""Left alone by the text engine."""
SPARE: Final = 128
"""Positions that its buffers have beyond those in use."""
GROWTH: Final = 1.4
"""Buffers that grow leave holes: what keys and values take, by what they hold."""
PASS: Final = 4096
"""Tokens of one pass, at most."""
TEXT_TOKENS: Final = 48
"""Of a text that is classified or embedded; what a bench asks."""
LARGEST: Final = 4096
"""Requests at once that are looked at."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model may run; bytes. A GPU is not ``cpu``."""

    name: str
    total: int
    free: int
    cpu: bool = False
    widens: bool = False
    """Whether it multiplies bfloat16 in float32 (see `ranvier.engines.wide`)."""


@dataclass(frozen=True, slots=True)
class Load:
    """So many requests at once, each of so many tokens (prompt and answer) where it is text."""

    size: int
    context: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes."""

    process: int
    weights: int
    loading: int
    """Beside the weights while they are read in; the work comes after it and takes its place."""
    cache: int
    work: int

    @property
    def total(self) -> int:
        """The most at any time."""
        return self.process + self.weights + max(self.loading, self.cache + self.work)


@dataclass(frozen=True, slots=True)
class Room:
    """What a device has room for. ``size`` 0: the model does not fit."""

    weights: int
    size: int
    """Requests at once of the context that was asked about; `LARGEST` means at least so many."""
    context: int
    """Tokens that each of the requests may have which were asked about, up to what the model knows."""
    need: int
    """Bytes for one request of that context."""


def devices_of(box: Box) -> list[Device]:
    """The CPU, and each GPU."""
    cpu = Device("cpu", box.memory, box.available, cpu=True, widens=not box.bfloat16)
    return [cpu, *(Device(f"cuda:{one.index}", one.total, one.free) for one in box.gpus)]


def estimate(shape: Shape, dtype: str, load: Load, *, cpu: bool = True, widens: bool = False) -> Need:
    """What a worker with this model takes of the device under this load, at most."""
    cache = _cache(shape, dtype, load)
    if shape.stored == "gguf":
        return Need(LLAMA if cpu else CUDA, shape.disk, 0, cache, _logits(shape, load.size))
    wider = cpu and widens and dtype == "bfloat16" and not shape.fixed
    converted = cpu and dtype not in (shape.stored, "int8") and not shape.fixed
    return Need(
        process=PROCESS[shape.kind] if cpu else CUDA,
        weights=shape.weights(dtype) + (_copies(shape) if wider else 0),
        loading=shape.disk if converted else 0,
        cache=cache,
        work=_work(shape, "float32" if wider else dtype, load),
    )


def room(shape: Shape, dtype: str, device: Device, load: Load) -> Room:
    """How many requests of ``load.context`` fit at once, and how long ``load.size`` of them may be."""
    context = min(load.context, shape.context)
    one = _need(shape, dtype, device, Load(1, context))
    size = _most(LARGEST, lambda size: _fits(shape, dtype, device, Load(size, context)))
    longest = _most(shape.context, lambda tokens: _fits(shape, dtype, device, Load(load.size, tokens)))
    return Room(one.weights, size, longest if size else 0, one.total)


def _need(shape: Shape, dtype: str, device: Device, load: Load) -> Need:
    return estimate(shape, dtype, load, cpu=device.cpu, widens=device.widens)


def _fits(shape: Shape, dtype: str, device: Device, load: Load) -> bool:
    if shape.stored == "gguf" and load.context > CONTEXT:
        return False
    if _need(shape, dtype, device, load).total > device.free:
        return False
    if shape.kind != "text" or shape.stored == "gguf":
        return True
    alone = _need(shape, dtype, device, Load(0))
    left = device.free - alone.process - alone.weights
    if device.cpu:
        left = min(left - RESERVE, CPU_CACHE)
    return load.size * load.context * shape.token_bytes(dtype) <= CACHE_SHARE * left


def _copies(shape: Shape) -> int:
    """What `ranvier.engines.wide` keeps besides: weights in float32, of models for pictures in float64."""
    return shape.weights("float32") * (2 if shape.kind == "image" else 1)


def _most(highest: int, fits: Callable[[int], bool]) -> int:
    """The largest number that fits, 0 where not even 1 does; what fits is downward closed."""
    low, high = 0, highest
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _cache(shape: Shape, dtype: str, load: Load) -> int:
    """Keys and values; llama.cpp takes those of all its slots at the start."""
    if shape.kind != "text":
        return 0
    if shape.stored == "gguf":
        return load.size * CONTEXT * shape.token_bytes(dtype)
    return int(GROWTH * load.size * (load.context + SPARE) * shape.token_bytes(dtype))


def _work(shape: Shape, dtype: str, load: Load) -> int:
    """States of the tokens of one pass, and its logits. Of pictures it is not known."""
    if shape.kind == "image":
        return 0
    tokens = min(load.size * (load.context or TEXT_TOKENS), PASS)
    states = tokens * (6 * shape.hidden + 3 * shape.inner) * BYTES[dtype]
    return states + (_logits(shape, load.size) if shape.kind == "text" else 0)


def _logits(shape: Shape, size: int) -> int:
    """In the model's type, in single and in double precision."""
    return size * shape.vocabulary * (2 + 4 + 8)
