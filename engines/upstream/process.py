"""A worker process: started, heard, ended with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from asyncio.subprocess import Process
from typing import Final

from ranvier.engines.errors import WorkerFailed
from ranvier.engines.upstream.plan import WorkerPlan, WorkerReady
from ranvier.engines.upstream.spare import Spare, spawn

STOP_SECONDS: Final = 25.0
"""For a worker to finish what runs; then it is killed."""


class WorkerProcess:
    """One child, which may be started again and again. It lives no longer than the pipe to its standard input."""

    def __init__(self, name: str, plan: WorkerPlan, spare: Spare | None = None) -> None:
        self.name, self.plan, self._spare = name, plan, spare
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Of the child that was started last; 0 before."""
        return self._process.pid if self._process else 0

    async def start(self) -> WorkerReady:
        """Start it and wait until it serves. Raises `WorkerFailed` with what it says; then it is gone."""
        warm = self._spare is not None and not self.plan.llama and self._process is not None
        self._process = await (self._spare.take() if warm and self._spare else spawn())
        assert self._process.stdin is not None
        self._process.stdin.write(self.plan.model_dump_json().encode() + b"\n")
        try:
            async with asyncio.timeout(self.plan.start_seconds):
                ready = await self._said(self._process)
        except TimeoutError:
            ready = WorkerReady(error=f"it did not serve within {self.plan.start_seconds:g} s")
        if ready.error:
            await self.kill()
            raise WorkerFailed(self.name, ready.error, ready.kind)
        return ready

    async def _said(self, process: Process) -> WorkerReady:
        """Its one line; one that says something else is no worker of ours."""
        assert process.stdout is not None
        try:
            line = await process.stdout.readline()
            return WorkerReady.model_validate_json(line) if line else await self._silent(process)
        except ValueError as error:  # also of a line without an end
            return WorkerReady(error=f"its process said what is no answer: {error}"[:300])

    async def _silent(self, process: Process) -> WorkerReady:
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 5.0)
        await self.kill()
        return WorkerReady(error=f"its process {await self.ended()} before it served")

    async def ended(self) -> str:
        """Wait for its end; says how that was."""
        if self._process is None:
            return "was never started"
        code = await self._process.wait()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    async def stop(self) -> None:
        """Let it finish what runs, at most `STOP_SECONDS`."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
