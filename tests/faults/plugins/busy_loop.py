"""A loop in simulated time that knows how long one step of it took in real time."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

from ranvier.testing.loop import SimulatedLoop

BEAT = 0.02


class _Control:
    """A thread that only sleeps: how much later than asked for it wakes is the machine's doing, not the loop's."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def lateness(self, since: float) -> float:
        time.sleep(2 * BEAT)
        return sum(late for at, late in self._late if at > since)

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._end.is_set():
            asked = time.monotonic() + BEAT
            time.sleep(BEAT)
            late = time.monotonic() - asked
            if late > BEAT:
                self._late.append((time.monotonic(), late))


class _Queue:
    """For how many seconds the thread that made it was ready to run and had no core; 0 where Linux does not tell."""

    def __init__(self) -> None:
        told = Path("/proc/thread-self/schedstat")
        self._file = os.open(told, os.O_RDONLY) if told.exists() else None

    def waited(self) -> float:
        return int(os.pread(self._file, 64, 0).split()[1]) / 1e9 if self._file is not None else 0.0

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


class BusyLoop(SimulatedLoop):
    """`longest` is the real time that the longest step held the loop, less what others held the machine."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self._control, self._queue = _Control(), _Queue()
        self._woke, self._queued = time.monotonic(), self._queue.waited()
        self._select = self._clock.select
        self._clock.select = self._watched  # type: ignore[method-assign]

    async def create_connection(self, *given: Any, **options: Any) -> Any:
        made = await super().create_connection(*given, **options)
        await asyncio.sleep(0)
        return made

    def close(self) -> None:
        super().close()
        self._control.stop()
        self._queue.close()

    def _watched(self, timeout: float | None = None) -> Any:
        held = time.monotonic() - self._woke
        if held > self.longest:
            self.longest = max(self.longest, held - (self._others() if held > 0.5 else 0.0))
        try:
            return self._select(timeout)
        finally:
            self._woke, self._queued = time.monotonic(), self._queue.waited()

    def _others(self) -> float:
        """Seconds since the loop woke that were not its own: it waited for a core, or everybody stood still."""
        waited = self._queue.waited() - self._queued
        return max(waited, self._control.lateness(self._woke))
