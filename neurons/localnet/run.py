"""Running a network: processes in order, a live table, a verdict."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live

import ranvier
from ranvier.chain import ChainClient, ChainError, connect
from ranvier.engines import EngineClient, EngineError
from ranvier.neurons.localnet.errors import LocalnetError, StartTimeout
from ranvier.neurons.localnet.founding import open_plan
from ranvier.neurons.localnet.observe import Observer
from ranvier.neurons.localnet.options import Options
from ranvier.neurons.localnet.plan import Folder, Plan
from ranvier.neurons.localnet.processes import Child, Family
from ranvier.neurons.localnet.report import NetworkReport
from ranvier.neurons.localnet.table import render

CLI: Final = "ranvier.neurons.cli"
HOST: Final = "ranvier.neurons.localnet.host"
CHAIN_SECONDS: Final = 60.0
ENGINE_SECONDS: Final = 180.0
GLANCE: Final = 1.0
"""Seconds between two looks at the network."""


class Localnet:
    """One run of one network."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options, self._console = options, console
        self._folder = Folder(options.state)
        self._family = Family(self._folder.logs)
        self._stop = asyncio.Event()

    async def run(self) -> NetworkReport:
        """Start everything, watch until the epochs are over or a signal comes, stop everything."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        self._folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone(self._folder):
            plan = open_plan(self._options)
            chain = connect(plan.endpoint)
            try:
                return await self._live(plan, chain, time.monotonic())
            finally:
                await chain.close()
                await self._family.stop()

    async def _live(self, plan: Plan, chain: ChainClient, started: float) -> NetworkReport:
        with Live(console=self._console, refresh_per_second=2, transient=False) as live:
            live.update("starting the chain")
            await self._start_chain(plan, chain)
            observer = Observer(
                self._folder, plan, started, (await chain.block()).number, ranvier.__version__
            )
            await self._start_engines(plan, live)
            observer.mark("engines_ready")
            await self._start_neurons(plan)
            observer.mark("neurons_started")
            while not self._stop.is_set() and not self._done(observer.report):
                await self._glance(observer, chain, live)
            observer.mark("end")
            live.update(render(observer.report, "stopping"))
            return observer.report

    async def _glance(self, observer: Observer, chain: ChainClient, live: Live) -> None:
        self._family.check()
        pids = [os.getpid(), *(child.process.pid for child in self._family.children)]
        try:
            report = await observer.read(chain, pids)
        except ChainError as error:
            live.update(render(observer.report, f"the chain is away: {error}"))
        else:
            live.update(render(report, self._status(report)))
        try:
            async with asyncio.timeout(GLANCE):
                await self._stop.wait()
        except TimeoutError:
            return

    def _done(self, report: NetworkReport) -> bool:
        wanted = self._options.epochs
        return wanted is not None and bool(report.subnets) and all(s.epochs >= wanted for s in report.subnets)

    def _status(self, report: NetworkReport) -> str:
        memory = f"memory {report.peak_memory / 2**30:.1f} GiB"
        if report.phases.first_incentive is None:
            return f"waiting for the first incentive, {memory}"
        wanted = f" of {self._options.epochs}" if self._options.epochs else ""
        paid = min(subnet.epochs for subnet in report.subnets)
        return f"first incentive after {report.phases.first_incentive:.0f} s, epochs {paid}{wanted}, {memory}"

    async def _start_chain(self, plan: Plan, chain: ChainClient) -> None:
        folder = self._folder
        child = await self._family.start(
            "chain",
            *(CLI, "chain", "--state", str(folder.chain), "--genesis", str(folder.genesis)),
            *("--port", str(plan.chain_port)),
        )
        await self._until(child, CHAIN_SECONDS, chain.block, ChainError)

    async def _start_engines(self, plan: Plan, live: Live) -> None:
        waiting = []
        for subnet in plan.subnets:
            if subnet.engine is None:
                continue
            models = [word for model in subnet.models for word in ("--model", model)]
            more = "--listen", subnet.engine, "--threads", "1", "--no-spare"
            child = await self._family.start(f"engine-{subnet.name}", CLI, "engine", *models, *more)
            waiting.append((child, subnet.engine))
        for child, endpoint in waiting:
            live.update(f"loading models: {child.name}")
            async with EngineClient(endpoint) as engine:
                await self._until(child, ENGINE_SECONDS, engine.info, EngineError)

    async def _start_neurons(self, plan: Plan) -> None:
        for role in ("miners", "validators"):
            for subnet in plan.subnets:
                await self._family.start(
                    f"{subnet.name}-{role}", HOST, str(self._folder.root), subnet.name, role
                )

    async def _until(
        self, child: Child, seconds: float, ask: Callable[[], Awaitable[object]], passing: type[Exception]
    ) -> None:
        """Ask until it answers; `StartTimeout` after ``seconds``, `ProcessDied` at once."""
        end = time.monotonic() + seconds
        while not self._stop.is_set():
            self._family.check()
            try:
                await ask()
            except passing:
                await asyncio.sleep(0.1)
            else:
                return
            if time.monotonic() > end:
                raise StartTimeout(child.name, seconds, child.log)


@contextmanager
def alone(folder: Folder) -> Iterator[None]:
    """Hold the network's lock; raises `LocalnetError` where another run holds it."""
    with folder.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalnetError(
                f"another localnet runs in {folder.root}; stop it first, or name another folder with --state"
            ) from error
        yield


def write_report(report: NetworkReport, path: Path) -> None:
    """The report as JSON, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(report.model_dump_json(indent=1) + "\n")
    fresh.replace(path)


def console() -> Console:
    """Standard output; wide enough for the table where no terminal says otherwise."""
    return Console() if sys.stdout.isatty() else Console(width=150, force_terminal=False)
