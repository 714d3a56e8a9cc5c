"""The operating-system processes of a localnet: started in order, watched, and stopped in reverse order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ranvier.neurons.localnet.errors import ProcessDied

STOP_GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""


@dataclass(slots=True)
class Child:
    """One process of ours. Its standard output and error go to ``log``."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None

    def last_words(self, lines: int = 8) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@dataclass(slots=True)
class Family:
    """All processes of one localnet; stop them with `stop`, also after an error."""

    logs: Path
    children: list[Child] = field(default_factory=list)

    async def start(self, name: str, *arguments: str) -> Child:
        """Run ``python -m`` with the given arguments in a session of its own, so that Ctrl-C reaches only us."""
        log = self.logs / f"{name}.log"
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                env=_environment(),
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def check(self) -> None:
        """Raise `ProcessDied` for the first process that ended by itself."""
        for child in self.children:
            if not child.running:
                raise ProcessDied(child.name, child.process.returncode, child.log, child.last_words())

    async def stop(self) -> None:
        """End every process, the last started first; one that ignores SIGTERM is killed after `STOP_GRACE`."""
        for group in _stages(self.children):
            for child in group:
                _signal(child, signal.SIGTERM)
            await asyncio.gather(*(_reap(child) for child in group))
        self.children.clear()


def _stages(children: Sequence[Child]) -> list[list[Child]]:
    """Neurons first, then engines, then the chain: nobody loses a server that it still talks to."""
    order = ("chain", "engine")
    ranked: dict[int, list[Child]] = {}
    for child in children:
        rank = next(
            (number for number, prefix in enumerate(order) if child.name.startswith(prefix)), len(order)
        )
        ranked.setdefault(rank, []).append(child)
    return [ranked[rank] for rank in sorted(ranked, reverse=True)]


def _signal(child: Child, number: signal.Signals) -> None:
    if child.running:
        child.process.send_signal(number)


async def _reap(child: Child) -> None:
    try:
        async with asyncio.timeout(STOP_GRACE):
            await child.process.wait()
    except TimeoutError:
        _signal(child, signal.SIGKILL)
        await child.process.wait()


def _environment() -> dict[str, str]:
    """Ours, with one thread for every numeric library: the box is shared by many processes."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
