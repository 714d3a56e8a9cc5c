"""A loop in simulated time that knows how long one step of it took in real time."""

from __future__ import annotations

import asyncio
import threading
import time
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


class BusyLoop(SimulatedLoop):
    """`longest` is the real time that the longest step held the loop, less what the machine as a whole stood still."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self._control = _Control()
        self._woke = time.monotonic()
        self._select = self._clock.select
        self._clock.select = self._watched  # type: ignore[method-assign]

    async def create_connection(self, *given: Any, **options: Any) -> Any:
        made = await super().create_connection(*given, **options)
        await asyncio.sleep(0)
        return made

    def close(self) -> None:
        super().close()
        self._control.stop()

    def _watched(self, timeout: float | None = None) -> Any:
        held = time.monotonic() - self._woke
        if held > self.longest:
            self.longest = max(
                self.longest, held - self._control.lateness(self._woke) if held > 0.5 else held
            )
        try:
            return self._select(timeout)
        finally:
            self._woke = time.monotonic()
