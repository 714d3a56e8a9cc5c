"""Processes of the rivals, seen from the benchmark: started when first needed, spoken to in the lines of `driver`."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

PATIENCE = 180.0
"""Seconds for any one line; the slowest turn takes a few."""
_CLOSING = 3.0


class PeerFailed(Exception):
    """A rival's process ended, or said nothing; the message is the last that it wrote."""


@dataclass
class Process:
    """One server or client of a rival."""

    name: str
    process: asyncio.subprocess.Process
    errors: Any
    """The file that its standard error goes to."""
    ports: tuple[int, ...] = ()

    @classmethod
    async def start(cls, python: str, role: str, rival: str, axons: int) -> Self:
        """Start it and wait until it is ready. Raises `PeerFailed`."""
        errors, pipe = tempfile.TemporaryFile("w+"), asyncio.subprocess.PIPE  # noqa: SIM115 - closed by `stop`
        process = await asyncio.create_subprocess_exec(
            *(python, str(Path(__file__).with_name("peer.py")), role, rival, str(axons)),
            stdin=pipe,
            stdout=pipe,
            stderr=errors,
        )
        peer = cls(f"{rival} {role}", process, errors)
        try:
            peer.ports = tuple((await peer.told()).get("ports", ()))
        except PeerFailed:
            await peer.stop()
            raise
        return peer

    async def told(self) -> dict[str, Any]:
        """What it says next; other lines are a log's. Raises `PeerFailed`."""
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                while line := await self.process.stdout.readline():
                    if line.startswith(b"TELL "):
                        told: dict[str, Any] = json.loads(line.removeprefix(b"TELL "))
                        return told
        except TimeoutError as error:
            raise PeerFailed(f"{self.name} said nothing for {PATIENCE:.0f} s") from error
        raise PeerFailed(f"{self.name} ended: {self._last_words()}")

    async def asked(self, line: str = "") -> dict[str, Any]:
        """Its answer to a command. Raises `PeerFailed`."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        return await self.told()

    async def stop(self) -> None:
        """Let it end; kill it if it does not."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            async with asyncio.timeout(_CLOSING):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self.errors.close()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.returncode is None

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1][:200] if lines else "without a word"


@dataclass
class Processes:
    """All of one benchmark; ``official`` is the interpreter of the official package, None where there is none."""

    official: str | None
    _running: dict[tuple[str, str, int], Process] = field(default_factory=dict)

    async def get(self, role: str, rival: str, axons: int) -> Process:
        """The process of this rival, started again if it has died. Raises `PeerFailed`."""
        key = (role, rival, axons)
        held = self._running.get(key)
        if held is None or not held.alive:
            python = self.official if rival == "official" else sys.executable
            if python is None:
                raise PeerFailed(
                    "bittensor 10.5.0 is not installed here: `make legacy`, or --official PYTHON"
                )
            held = self._running[key] = await Process.start(python, role, rival, axons)
        return held

    async def stop(self) -> None:
        """End them all."""
        await asyncio.gather(*(process.stop() for process in self._running.values()))
        self._running.clear()
