"""Jobs that end when a test says, on a loop whose time passes by itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ranvier.protocol import Code, Limits, Refusal
from ranvier.testing.loop import SimulatedLoop

LIMITS = Limits(max_jobs=5, max_jobs_per_caller=3, job_ttl=100.0)
OWNERS = ("Alice", "Bob", "Charlie")


@contextlib.contextmanager
def virtual() -> Iterator[SimulatedLoop]:
    """Afterwards nothing runs, and nobody complained."""
    loop = SimulatedLoop()
    complaints: list[str] = []
    loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
    try:
        yield loop
        assert not asyncio.all_tasks(loop)
        gc.collect()
        assert not complaints
    finally:
        loop.close()


@dataclass
class Work:
    """A job that ends when and how the test says. A ``stubborn`` one swallows its first cancellations."""

    stubborn: int = 0
    end: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    alive: bool = False

    async def __call__(self) -> str:
        self.alive = True
        try:
            while True:
                try:
                    return await asyncio.shield(self.end)
                except asyncio.CancelledError:
                    if self.end.cancelled() or self.stubborn <= 0:
                        raise
                    self.stubborn -= 1
        finally:
            self.alive = False


async def settle() -> None:
    """Let everything that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def code_of(asking: Awaitable[Any]) -> Code:
    """Why it is refused."""
    try:
        answer = await asking
    except Refusal as refusal:
        return refusal.code
    raise AssertionError(f"answered: {answer!r}")
