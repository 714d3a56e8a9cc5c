"""What a rival's process does, server or client: it reads commands from standard input and prints one line for each.

Only the standard library is imported here: the official package's environment runs this file, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

Ask = Callable[[int], Awaitable[None]]
"""Ask the server at this port once; raises for anything but the right answer."""


@dataclass(frozen=True)
class Turn:
    """One turn of a client: ``requests`` requests of a kind, so many at once, to each of the ports in turn."""

    kind: str
    size: int
    """Bytes of text or of numbers."""
    ports: tuple[int, ...]
    at_once: int
    requests: int
    warm: bool = False
    """Not measured: it opens the connections that were closed while others had their turn."""

    def line(self) -> str:
        """As a command."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> Turn:
        """The command that `line` wrote."""
        fields = json.loads(line)
        return cls(**{**fields, "ports": tuple(fields["ports"])})


def text_of(size: int) -> str:
    """The text that is asked: no character needs escaping, which is the best case of every JSON library."""
    return "x" * size


def pieces_of(size: int, count: int = 64) -> list[str]:
    """The same text in ``count`` pieces."""
    return [text_of(size // count)] * count


def tell(**fields: object) -> None:
    """One line for whoever started this process, in one piece: the official package logs to the same place."""
    os.write(1, f"\nTELL {json.dumps(fields)}\n".encode())


def serve_until_closed() -> None:
    """Answer each line that comes in with the CPU seconds used so far, all threads together; return at its end."""
    while sys.stdin.readline():
        tell(cpu=time.process_time())


class Client(ABC):
    """The client of one rival, opened with ``async with``."""

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def asker(self, kind: str, size: int) -> Ask:
        """What asks once."""

    async def rested(self) -> None:
        """Others had their turn. One whose server may close idle connections at this very moment drops them here."""
        return


async def work_until_closed(client: Client) -> None:
    """Run each `Turn` that comes in; tell its CPU and wall seconds."""
    tell(ready=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        turn = Turn.read(line)
        ask = client.asker(turn.kind, turn.size)
        if turn.warm:
            await client.rested()
        cpu, wall = time.process_time(), time.perf_counter()
        await _run(ask, turn)
        tell(cpu=time.process_time() - cpu, wall=time.perf_counter() - wall)


async def _run(ask: Ask, turn: Turn) -> None:
    if len(turn.ports) > 1:
        await _fan_out(ask, turn.ports, turn.requests // len(turn.ports))
        return
    left = iter(range(turn.requests))

    async def work() -> None:
        for _ in left:
            await ask(turn.ports[0])

    await asyncio.gather(*(work() for _ in range(turn.at_once)))


async def _fan_out(ask: Ask, ports: Sequence[int], rounds: int) -> None:
    """All ports at the same instant; the next round begins when the last has answered."""
    for _ in range(rounds):
        await asyncio.gather(*(ask(port) for port in ports))
