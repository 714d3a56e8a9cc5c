"""A process kept warm: it has imported what workers import, so that a dead worker is replaced in the time of a load."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from typing import Final

CHILD: Final = (sys.executable, "-m", "ranvier.engines.child")
WARM: Final = "--warm"


async def spawn(*more: str) -> Process:
    """A worker process that waits for its plan, the first line of its standard input."""
    return await asyncio.create_subprocess_exec(
        *(*CHILD, *more),
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,  # a Ctrl-C is for us; we tell the child
    )


class Spare:
    """One such process at most. It takes the memory of the libraries (some 300 MB with torch) while it waits."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._filling = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Of the process that waits; 0 where none does."""
        return self._process.pid if self._process and self._process.returncode is None else 0

    async def fill(self) -> None:
        """See that one waits; it does so before it has imported all."""
        async with self._filling:
            if not self.pid:
                self._process = await spawn(WARM)

    async def take(self) -> Process:
        """That process, or a new one where none waits."""
        process, self._process = self._process, None
        return process if process is not None and process.returncode is None else await spawn()

    async def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
