"""Six ways in which miners fail: what a round meets every day, without malice or with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hostile_miner import Behaviour, Writer, drip, head, hostile, raw, replying

from ranvier.protocol import keypair_from_uri

GOOD = b'{"text":"hello"}'


async def silent(asked: bytes, writer: Writer) -> None:
    """Takes the request and never answers."""
    await asyncio.sleep(60)


async def closes(asked: bytes, writer: Writer) -> None:
    """Half an answer."""
    writer.write(head(length=100) + GOOD)
    await writer.drain()


@dataclass(frozen=True)
class Fault:
    """How a miner fails, and the outcome that names it."""

    behaviour: Behaviour | None
    """None: nobody listens."""
    outcome: str


FAULTS = {
    "gone": Fault(None, "Unreachable"),
    "silent": Fault(silent, "TimedOut"),
    "drips": Fault(drip, "TimedOut"),
    "closes midway": Fault(closes, "Invalid"),
    "signed by another": Fault(replying(GOOD, key=keypair_from_uri("//Mallory")), "Invalid"),
    "garbage": Fault(raw(b"\x00\xff" * 400), "Invalid"),
}


@contextlib.asynccontextmanager
async def faulty_port(fault: Fault) -> AsyncIterator[int]:
    """The port of a miner that fails so."""
    if fault.behaviour is None:
        with socket.socket() as held:  # bound and not listened on: nobody else gets it
            held.bind(("127.0.0.1", 0))
            yield held.getsockname()[1]
        return
    async with hostile(fault.behaviour) as target:
        yield target.port
