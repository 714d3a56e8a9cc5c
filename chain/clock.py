"""When blocks are made."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass
class WallClock:
    """One block every `block_time` seconds. Blocks missed while nobody was there are not made up for."""

    block_time: float
    _due: float = 0.0

    async def wait(self) -> None:
        """Return when the next block is due."""
        now = asyncio.get_running_loop().time()
        self._due = max(self._due + self.block_time, now) if self._due else now + self.block_time
        await asyncio.sleep(self._due - now)


def stamp(previous: float, block_time: float, clock: str) -> float:
    """The next block's timestamp: the time of day, or under the manual clock `block_time` after the last.

    Always later than `previous`; whole milliseconds.
    """
    if clock == "manual":
        return round(previous + block_time, 3)
    return round(max(time.time(), previous + 0.001), 3)
