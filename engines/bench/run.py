"""Benches a model: starts the worker that an engine would start, and loads it more and more."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from ranvier.engines.bench import loads
from ranvier.engines.bench.loads import Done, Sizes
from ranvier.engines.bench.report import UNITS, Bench, Lap
from ranvier.engines.box import cpu_name, multiplies_bfloat16
from ranvier.engines.client import EngineClient
from ranvier.engines.errors import EngineError, EngineUnreachable
from ranvier.engines.fit import Load, estimate
from ranvier.engines.llama import gguf_of
from ranvier.engines.load import Spec
from ranvier.engines.models import ModelInfo
from ranvier.engines.shape import Shape
from ranvier.engines.states import WorkerState, state_of
from ranvier.engines.upstream.plan import WorkerPlan
from ranvier.engines.upstream.process import WorkerProcess
from ranvier.engines.usage import usage_of

WARM_UP: Final = 8
"""Tokens or texts before the first lap."""
Say = Callable[[str, Lap | None, int], None]
"""Told of each lap before (None) and after it, with the process id of the worker."""


@dataclass(frozen=True, slots=True)
class Course:
    """What is benched and how. ``threads`` 0 leaves them to the library."""

    model: str
    """As ``kind=name``."""
    sizes: tuple[int, ...]
    device: str = "cpu"
    dtype: str = ""
    threads: int = 0
    tokens: Sizes = field(default_factory=lambda: Sizes(256, 64))
    memory: int = 0
    """Bytes of data that the worker may have; 0: no bound."""

    @property
    def kind(self) -> str:
        """Of the model."""
        return Spec.parse(self.model).kind

    @property
    def llama(self) -> bool:
        """Whether llama.cpp runs it."""
        return gguf_of(Spec.parse(self.model).name) is not None

    def plan(self, folder: Path) -> WorkerPlan:
        """The worker of the largest size."""
        return WorkerPlan(
            models=(self.model,),
            listen=f"unix:{folder / 'bench.sock'}",
            device=self.device,
            dtype=self.dtype,
            threads=self.threads,
            batch=max(self.sizes),
            queue=max(self.sizes),
            memory=self.memory,
            llama=self.llama,
        )


class Track:
    """A worker and a client of it; a worker that died is started again with the next `enter`."""

    def __init__(self, plan: WorkerPlan) -> None:
        self.worker = WorkerProcess("bench", plan)
        self.client: EngineClient | None = None
        self._stack = AsyncExitStack()

    async def enter(self) -> EngineClient:
        """A client of a running worker. Raises `WorkerFailed`."""
        if self.client is None:
            ready = await self.worker.start()
            self.client = await self._stack.enter_async_context(
                EngineClient(ready.endpoint, api_key=ready.api_key)
            )
        return self.client

    async def died(self) -> str:
        """How the worker ended; the next `enter` starts another."""
        how = await self.worker.ended()
        await self._leave()
        return how

    async def state(self) -> WorkerState:
        """As the worker tells it, or as it is seen from outside."""
        seen = state_of("bench", self.worker.pid, self.worker.plan.models)
        if self.client is None or self.worker.plan.llama:
            return seen
        (told,) = await self.client.state()
        return seen.model_copy(update={"devices": told.devices})

    async def _leave(self) -> None:
        self.client = None
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leave()
        await self.worker.stop()


async def bench(course: Course, shape: Shape | None, say: Say) -> Bench:
    """Run all sizes, smaller ones first; the first that fails is reported and is the last. Raises `EngineError`."""
    folder = Path(tempfile.mkdtemp(prefix="ranvier-bench-"))
    try:
        async with Track(course.plan(folder)) as track:
            client = await track.enter()
            (info,) = await client.info()
            await _lap(client, course, info, 0, 1)
            laps: list[Lap] = []
            for size in sorted(course.sizes):
                say(f"{size} at once", None, track.worker.pid)
                laps.append(await _measured(track, course, info, shape, size))
                say(f"{size} at once", laps[-1], track.worker.pid)
                if laps[-1].lack:
                    break
            return await _told(track, course, info, laps)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _told(track: Track, course: Course, info: ModelInfo, laps: Sequence[Lap]) -> Bench:
    devices = (await track.state()).devices
    text = course.kind == "text"
    return Bench(
        model=course.model,
        engine="llama.cpp" if course.llama else "ranvier",
        unit=UNITS[course.kind],
        device=info.device or course.device,
        device_name=devices[0].name if devices else cpu_name() if course.device == "cpu" else "",
        dtype=info.dtype or "as stored",
        threads=course.threads,
        prompt_tokens=course.tokens.prompt if text else 0,
        answer_tokens=course.tokens.answer if text else 0,
        laps=tuple(laps),
    )


async def _measured(track: Track, course: Course, info: ModelInfo, shape: Shape | None, size: int) -> Lap:
    """One size; a worker that died of it is reported, and started again."""
    try:
        lap = await _lap(await track.enter(), course, info, size * 1000, size, pid=track.worker.pid)
        state = await track.state()
    except EngineUnreachable:
        how = await track.died()
        await track.enter()
        return Lap(size=size, lack=f"the worker {how}; it was started again")
    except EngineError as error:
        return Lap(size=size, lack=str(error)[:300])
    expected = 0
    if shape is not None:
        slots = (
            max(course.sizes) if course.llama else size
        )  # llama.cpp has memory for all slots from the start
        load = Load(slots, lap.context)
        cpu = course.device == "cpu"
        widens = cpu and not multiplies_bfloat16()
        expected = estimate(shape, info.dtype or "bfloat16", load, cpu=cpu, widens=widens).total
    return lap.model_copy(
        update={
            "resident": state.peak,
            "device": max((one.peak for one in state.devices), default=0),
            "estimate": expected,
        }
    )


async def _lap(
    client: EngineClient, course: Course, info: ModelInfo, first: int, size: int, *, pid: int = 0
) -> Lap:
    """Speeds of one size; without a process id processor time is not counted."""
    reading, context = 0.0, 0
    if course.kind == "text":
        words = course.tokens.prompt if first else WARM_UP
        read = await loads.read(client, info.id, first, size, words)
        reading, context = read.count / read.seconds, read.count // size + 1
    before = usage_of(pid)
    done = await _done(client, course, info, first, size)
    after = usage_of(pid)
    spent = after.cpu_seconds - before.cpu_seconds if before and after else 0.0
    return Lap(
        size=size,
        per_second=done.count / done.seconds,
        per_cpu_second=done.count / spent if spent else 0.0,
        prompt_per_second=reading,
        context=context,
        first_seconds=done.first,
    )


async def _done(client: EngineClient, course: Course, info: ModelInfo, first: int, size: int) -> Done:
    if course.kind == "text":
        return await loads.write(
            client, info.id, first + 500_000, size, course.tokens.answer if first else WARM_UP
        )
    return await loads.ask(client, info, first, size)
