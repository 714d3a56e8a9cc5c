"""One rival's process: `python peer.py server|client RIVAL [AXONS]`; speaks the lines of `driver`."""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any

from driver import serve_until_closed, tell, work_until_closed

RIVALS = ("bare", "handmade", "ours")
"""Modules with ``serve()`` and ``Client``."""


async def _serve(rival: Any, axons: int) -> None:
    ports = [await rival.serve() for _ in range(axons)]
    tell(ports=ports)
    await asyncio.to_thread(serve_until_closed)


async def _ask(rival: Any) -> None:
    async with rival.Client() as client:
        await work_until_closed(client)


def main() -> None:
    """Be the server, or the client, until standard input ends."""
    role, name, *axons = sys.argv[1:]
    sys.argv = sys.argv[:1]  # the official package would read them
    rival = importlib.import_module(name)
    asyncio.run(_serve(rival, int(axons[0])) if role == "server" else _ask(rival))


if __name__ == "__main__":
    main()
