"""Many engines as one: workers of this box and engines elsewhere, found, watched, and joined by what they serve."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ranvier.engines.errors import EngineError, EngineUnfit
from ranvier.engines.models import ModelInfo
from ranvier.engines.states import WorkerState, state_of
from ranvier.engines.upstream.meter import UpstreamMeter
from ranvier.engines.upstream.plan import WorkerPlan
from ranvier.engines.upstream.pool import Pool
from ranvier.engines.upstream.process import WorkerProcess
from ranvier.engines.upstream.spare import Spare
from ranvier.engines.upstream.upstream import Address, Upstream

PERIOD: Final = 10.0
"""Seconds between two looks at an engine that is up."""
STEADY: Final = 10.0
"""A worker that served so many seconds is started again at once; one that died sooner waits longer each time."""
SILENT: Final = 45.0
"""Seconds without an answer after which a worker whose process is there is ended and started again."""
FIRST_LOOK: Final = 10.0
"""Seconds that engines elsewhere have to answer before we serve without them."""
_log = logging.getLogger(__name__)


class Front:
    """See `ranvier.engines.serving.Host`. `start` it before it is served; `stop` ends its workers."""

    def __init__(
        self,
        plans: Sequence[WorkerPlan] = (),
        addresses: Sequence[Address] = (),
        *,
        max_queue: int = 128,
        spare: bool = False,
    ) -> None:
        self._max_queue = max_queue
        self._meter = UpstreamMeter()
        self._pools: dict[tuple[str, str], Pool] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="ranvier-engine-"))  # mode 0700
        self._spare = Spare() if spare and not all(plan.llama for plan in plans) else None
        self._workers = {
            f"{n}": WorkerProcess(f"{n}", _placed(plan, self._folder, n), self._spare)
            for n, plan in enumerate(plans)
        }
        self._own: dict[str, Upstream] = {}
        self._elsewhere = [Upstream(address) for address in addresses]
        self._tasks: list[asyncio.Task[None]] = []
        self._meter.watch(lambda: self._upstreams, lambda: self.serving, lambda: self.workers)

    @property
    def serving(self) -> list[Pool]:
        """One for each model."""
        return list(self._pools.values())

    @property
    def pending(self) -> str:
        """Engines that were never reached."""
        lacking = [one for one in self._upstreams if not one.names]
        return "; ".join(f"{one.address.endpoint}: {one.reason}" for one in lacking)

    @property
    def workers(self) -> Sequence[WorkerProcess]:
        """Processes of this box."""
        return tuple(self._workers.values())

    @property
    def _upstreams(self) -> list[Upstream]:
        return [*self._own.values(), *self._elsewhere]

    async def start(self) -> None:
        """Start the workers, look for the others. Raises `EngineError` where a worker does not start at all."""
        try:
            async with asyncio.TaskGroup() as group:
                for name in self._workers:
                    group.create_task(self._begin(name))
                for upstream in self._elsewhere:
                    group.create_task(self._first_look(upstream))
        except BaseException as error:  # noqa: BLE001  a signal too must leave no worker behind; it is raised on
            await self.stop()
            raise _cause(error) from None
        await self._fill()
        self._tasks = [
            *(asyncio.create_task(self._keep(name)) for name in self._workers),
            *(asyncio.create_task(self._watch(upstream)) for upstream in self._elsewhere),
        ]

    async def state(self) -> Sequence[WorkerState]:
        """Each worker; what it cannot tell itself is read from outside."""
        return await asyncio.gather(*(self._state(name) for name in self._workers))

    async def _state(self, name: str) -> WorkerState:
        worker, own = self._workers[name], self._own.get(name)
        seen = state_of(name, worker.pid, worker.plan.models)
        if own is None or not own.up or worker.plan.llama:
            return seen
        try:
            told = await own.client.state()
        except EngineError:
            return seen
        return seen.model_copy(update={"devices": tuple(one for state in told for one in state.devices)})

    async def page(self) -> bytes:
        """Counters of the front, and those of the workers."""
        pages = await asyncio.gather(*(_page(name, one) for name, one in self._own.items()))
        return self._meter.page([one for one in pages if one is not None])

    async def _fill(self) -> None:
        try:
            if self._spare is not None:
                await self._spare.fill()
        except OSError as error:
            _log.warning("no process can be kept warm: %s", error)

    async def stop(self) -> None:
        """Let the workers finish what runs, and end them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            if self._spare is not None:
                await self._spare.stop()
            await asyncio.gather(*(one.stop() for one in self._workers.values()))
        finally:
            for upstream in self._upstreams:
                await upstream.client.__aexit__(None, None, None)
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _first_look(self, upstream: Upstream) -> None:
        await upstream.client.__aenter__()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._look(upstream), FIRST_LOOK)

    async def _look(self, upstream: Upstream) -> None:
        """Whether it is there, and what it serves if it was not."""
        was = upstream.up
        try:
            if was:
                await upstream.client.alive()
            else:
                self._join(upstream, await upstream.client.info(fresh=True))
                _log.info("%s serves %s", upstream.label, ", ".join(upstream.names))
            upstream.seen()
        except EngineError as error:
            if upstream.missed(error) and (was or upstream.failures == 1):
                _log.warning("%s; it is tried again", error)

    async def _watch(self, upstream: Upstream) -> None:
        while True:
            await upstream.looked_for(PERIOD if upstream.up else upstream.backoff)
            await self._look(upstream)

    def _join(self, upstream: Upstream, infos: Sequence[ModelInfo]) -> None:
        """Into the pools of what it serves, out of the others. Raises `EngineUnfit`."""
        wanted = [info for info in infos if upstream.address.wants(info)]
        if not wanted:
            lack = upstream.address.model or "any model"
            raise EngineUnfit(upstream.address.endpoint, f"it does not serve {lack}")
        if upstream.address.light:
            upstream.names = {upstream.address.name: wanted[0].id}
            self._lighten()
            return
        found = [(upstream.address.ours(info), info.id) for info in wanted]
        upstream.names = {ours.id: theirs for ours, theirs in found}
        kept = {(ours.kind, ours.id) for ours, _ in found}
        self._leave(upstream, [key for key in self._pools if key not in kept])
        for ours, _ in found:
            pool = self._pools.setdefault(
                (ours.kind, ours.id), Pool(ours, self._meter, max_queue=self._max_queue)
            )
            pool.add(upstream, ours)
        self._lighten()

    def _lighten(self) -> None:
        """Join models and their light engines, whichever of them came first."""
        for one in self._own.values():
            pool = self._pools.get(("text", one.address.name))
            if one.address.light and pool is not None and one.names:
                pool.lighten(one)

    def _leave(self, upstream: Upstream, keys: Sequence[tuple[str, str]]) -> None:
        """Out of these pools; one that nobody serves any more is none."""
        for key in keys:
            self._pools[key].drop(upstream)
            if self._pools[key].empty:
                del self._pools[key]

    async def _begin(self, name: str) -> None:
        """Start a worker and reach it."""
        worker = self._workers[name]
        ready = await worker.start()
        old = self._own.get(name)
        # A batch that runs and one that may join it: whose turn it is after those is decided here.
        address = Address(
            ready.endpoint, 2 * worker.plan.batch, ready.api_key, label=f"worker {name}", each=True,
            name=worker.plan.light_of, light=bool(worker.plan.light_of),
        )  # fmt: skip
        if old is None or old.address != address:
            if old is not None:  # llama.cpp takes another port each time
                await self._forget(old)
            old = self._own[name] = Upstream(address)
            await old.client.__aenter__()
        self._join(old, await old.client.info(fresh=True))
        old.seen()

    async def _forget(self, upstream: Upstream) -> None:
        for pool in self._pools.values():  # its successor serves the same
            pool.drop(upstream)
        await upstream.client.__aexit__(None, None, None)

    async def _keep(self, name: str) -> None:
        """Start a worker again whenever it ended: at once, or later and later if it keeps dying."""
        worker, deaths = self._workers[name], 0
        while True:
            since = time.monotonic()
            how = await self._life(name)
            died = time.monotonic()
            self._own[name].failed(f"its process {how}")
            self._meter.restarts.labels(name).inc()
            deaths = 0 if died - since > STEADY else deaths + 1
            _log.error("worker %s %s; it is started again", name, how)
            await asyncio.sleep(0.0 if not deaths else min(2.0 ** (deaths - 1), 60.0))
            try:
                await self._begin(name)
                _log.warning("worker %s serves again, %.1f s later", name, time.monotonic() - died)
            except (EngineError, OSError) as error:  # OSError: no process could be made
                _log.error("worker %s: %s", name, error)
                await worker.kill()
            await self._fill()

    async def _life(self, name: str) -> str:
        """Until its process is no more; one that answers nothing for long is ended. Says how it ended."""
        worker = self._workers[name]
        ended = asyncio.ensure_future(worker.ended())
        stuck = asyncio.ensure_future(self._stuck(self._own[name]))
        try:
            await asyncio.wait((ended, stuck), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                _log.error("worker %s has not answered for %g s", name, SILENT)
                await worker.kill()
            return await ended
        finally:
            ended.cancel()
            stuck.cancel()

    async def _stuck(self, upstream: Upstream) -> None:
        """Look at a worker, until it has not answered for long."""
        seen = time.monotonic()
        while time.monotonic() - seen < SILENT:
            await upstream.looked_for(min(upstream.backoff, PERIOD))
            await self._look(upstream)
            if upstream.up:
                seen = time.monotonic()


def _cause(error: BaseException) -> BaseException:
    """The first error of ours in what a group of tasks raised."""
    several = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((one for one in several if isinstance(one, EngineError)), error)


def _placed(plan: WorkerPlan, folder: Path, number: int) -> WorkerPlan:
    return plan.model_copy(update={"listen": f"unix:{folder / f'{number}.sock'}"})


async def _page(name: str, upstream: Upstream) -> tuple[str, bytes] | None:
    """The metrics of a worker; None while it is down, and of what is none of ours."""
    if not upstream.up or not upstream.address.endpoint.startswith("unix:"):
        return None
    try:
        return name, await upstream.client.metrics()
    except EngineError:
        return None
