"""Lab: a subnet's whole network in one process, to be held for some rounds and then looked at."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ranvier.neurons.localnet.cast import VALIDATOR_STAKES
from ranvier.subnets import Cheat, Subnet
from ranvier.testing.errors import NotOpen
from ranvier.testing.faults import Fault
from ranvier.testing.loop import SimulatedLoop
from ranvier.testing.report import Report
from ranvier.testing.setup import Setup
from ranvier.testing.stage import Stage

T = TypeVar("T")


class Lab:
    """Real miners and validators over a chain with a manual clock, in simulated time on a thread of its own.

    ``with Lab(MySubnet) as lab: report = lab.run(50)``, or ``async with`` and ``await lab.hold(50)``. It may be held
    again and again; between two calls nothing happens.
    """

    def __init__(
        self,
        subnet: type[Subnet[Any]],
        *,
        honest: int = 2,
        cheats: Mapping[str, Cheat] | None = None,
        validators: Sequence[int] = VALIDATOR_STAKES,
        settings: Mapping[str, Any] | None = None,
        faults: Sequence[Fault] = (),
        tempo: int = 10,
        round_blocks: int = 2,
        seed: int = 0,
        engine: str | None = None,
        sockets: bool = False,
    ) -> None:
        """Nothing starts yet. Raises `BadSetup`.

        ``honest``: how many run the subnet's own miner. ``cheats``: by name, instead of those the subnet ships.
        ``validators``: their stakes in TAO. ``settings``: the subnet's own. ``faults``: see `ranvier.testing.faults`.
        ``tempo`` and ``round_blocks``: blocks between epochs and between rounds. ``seed``: decides keys, secrets and
        tasks. ``engine``: endpoint, for subnets that need one. ``sockets``: real ones on the loopback interface; then
        a run cannot be repeated exactly.
        """
        self.setup = Setup(
            subnet=subnet,
            honest=honest,
            cheats=cheats,
            validators=tuple(validators),
            settings=dict(settings or {}),
            faults=tuple(faults),
            tempo=tempo,
            round_blocks=round_blocks,
            seed=seed,
            engine=engine,
            sockets=sockets,
        )
        self._thread: ThreadPoolExecutor | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._runner: asyncio.Runner | None = None
        self._stage: Stage | None = None

    def __enter__(self) -> Self:
        self._wait(self._begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self._end())

    async def __aenter__(self) -> Self:
        await asyncio.wrap_future(self._begin())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.wrap_future(self._end())

    def run(self, rounds: int) -> Report:
        """Hold so many rounds and report all so far. Raises `LabError` where a node ended by itself."""
        return self._wait(self._do(self._open.hold(rounds)))

    async def hold(self, rounds: int) -> Report:
        """`run` for coroutines: the caller's loop goes on meanwhile."""
        return await asyncio.wrap_future(self._do(self._open.hold(rounds)))

    @property
    def tasks(self) -> int:
        """Tasks on the laboratory's loop now."""
        assert self._runner is not None
        return len(asyncio.all_tasks(self._runner.get_loop()))

    @property
    def _open(self) -> Stage:
        if self._stage is None:
            raise NotOpen
        return self._stage

    def _begin(self) -> Future[None]:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ranvier-lab")
        self._folder = tempfile.TemporaryDirectory(prefix="ranvier-lab-")
        return self._thread.submit(self._start, Path(self._folder.name))

    def _start(self, folder: Path) -> None:
        """On the laboratory's thread, as everything that touches its loop."""
        self._runner = asyncio.Runner(loop_factory=lambda: SimulatedLoop(sockets=self.setup.sockets))
        try:
            stage = Stage(self.setup, folder)
            try:
                self._runner.run(stage.open())
            except BaseException:
                self._runner.run(stage.close())
                raise
        except BaseException:
            self._leave()
            raise
        self._stage = stage

    def _end(self) -> Future[None]:
        assert self._thread is not None
        return self._thread.submit(self._stop)

    def _stop(self) -> None:
        stage, self._stage = self._stage, None
        try:
            if stage is not None and self._runner is not None:
                self._runner.run(stage.close())
        finally:
            self._leave()

    def _leave(self) -> None:
        """Give everything back but the thread, which ends by itself."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()
        if self._folder is not None:
            self._folder.cleanup()
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _do(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        assert self._thread is not None
        assert self._runner is not None
        return self._thread.submit(self._runner.run, work)

    def _wait(self, future: Future[T]) -> T:
        try:
            return future.result()
        except BaseException:
            if not future.done():  # interrupted: the laboratory must not go on alone
                self._cancel()
            raise

    def _cancel(self) -> None:
        if self._runner is not None:
            loop = self._runner.get_loop()
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
