"""Our request and reply beside a bare aiohttp JSON echo: CPU time for each request on both sides, and throughput.

Run: python benchmarks/protocol.py [--requests N] [--rounds N] [--json FILE]

Each server is a process of its own on loopback; the two take turns, round by round, and each figure is the median of
the rounds. The bare echo parses and dumps JSON and signs nothing. Ours signs the request, checks it, signs the reply
and checks that: four sr25519 operations, plus replay memory, door, queue and models. Bodies are 1 KB.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from rich.console import Console
from rich.table import Table

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Dendrite,
    Door,
    Limits,
    Reply,
    Synapse,
    Target,
    keypair_from_uri,
)

TEXT = "x" * 1000
MANY = 64
LIMITS = Limits(rate=1e9, burst=10**9, max_concurrent=MANY, max_per_caller=2 * MANY)
KINDS = ("bare aiohttp", "ranvier")
Ask = Callable[[], Awaitable[None]]


class Echo(Synapse):
    """The benchmark's request."""

    text: str

    class Reply(Reply):
        """The same text."""

        text: str


@dataclass(frozen=True)
class Row:
    """One line of the table: medians over the rounds."""

    kind: str
    at_once: int
    client_ms: float
    server_ms: float
    each_second: float


async def _echo(request: Echo, caller: Caller) -> Echo.Reply:
    return Echo.Reply(text=request.text)


async def _bare_echo(request: web.Request) -> web.Response:
    return web.json_response({"text": (await request.json())["text"]})


async def serve(kind: str) -> None:
    """Be one of the servers: print the port, then the CPU time used so far for each line that comes in."""
    if kind == "ranvier":
        axon = Axon(keypair_from_uri("//Bob"), door=Door.open(), limits=LIMITS).serve(Echo, _echo)
        await axon.start()
        port = axon.port
    else:
        app = web.Application()
        app.router.add_post("/Echo", _bare_echo)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
    print(port, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(time.process_time(), flush=True)


@dataclass
class Server:
    """A server process, seen from here."""

    process: asyncio.subprocess.Process
    port: int = 0

    async def line(self) -> str:
        """What it prints next."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()

    async def used(self) -> float:
        """CPU seconds that it has used."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return float(await self.line())


@contextlib.asynccontextmanager
async def _server(kind: str) -> AsyncIterator[Server]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", kind, stdin=pipe, stdout=pipe
    )
    server = Server(process)
    try:
        server.port = int(await server.line())
        yield server
    finally:
        process.kill()
        await process.wait()


async def _measure(server: Server, ask: Ask, at_once: int, requests: int) -> tuple[float, float, float]:
    turns = iter(range(requests))

    async def work() -> None:
        for _ in turns:
            await ask()

    theirs, ours, start = await server.used(), time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    took, ours = time.perf_counter() - start, time.process_time() - ours
    theirs = await server.used() - theirs
    return ours * 1000 / requests, theirs * 1000 / requests, requests / took


async def run(requests: int, rounds: int) -> list[Row]:
    """Both kinds in turn, one at a time and many at once."""
    async with (
        _server(KINDS[0]) as bare,
        _server(KINDS[1]) as miner,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        Dendrite(keypair_from_uri("//Alice"), addresses=AddressPolicy.local()) as dendrite,
    ):
        target = Target(keypair_from_uri("//Bob").ss58_address, "127.0.0.1", miner.port)

        async def ask_bare() -> None:
            async with session.post(f"http://127.0.0.1:{bare.port}/Echo", json={"text": TEXT}) as response:
                assert (await response.json())["text"] == TEXT

        async def ask_ours() -> None:
            outcome = await dendrite.ask(target, Echo(text=TEXT), deadline=30.0)
            assert isinstance(outcome, Answered), outcome

        pairs: list[tuple[str, Server, Ask]] = [(KINDS[0], bare, ask_bare), (KINDS[1], miner, ask_ours)]
        rows = []
        for at_once in (1, MANY):
            seen: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in KINDS}
            for turn in range(rounds + 1):
                for kind, server, ask in pairs:
                    figures = await _measure(server, ask, at_once, requests)
                    if turn:  # the first round warms up
                        seen[kind].append(figures)
            for kind in KINDS:
                medians = (statistics.median(column) for column in zip(*seen[kind], strict=True))
                rows.append(Row(kind, at_once, *medians))
        return rows


def main() -> None:
    """Print the table; write the same figures where --json says."""
    parser = argparse.ArgumentParser(description="The signed wire beside a bare aiohttp echo, 1 KB each way.")
    parser.add_argument("--requests", type=int, default=1000, help="of each kind in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    rows = asyncio.run(run(options.requests, options.rounds))
    title = f"1 KB echo, CPU ms for each request; aiohttp {aiohttp.__version__}, Python {platform.python_version()}"
    table = Table(title=f"{title}, {os.cpu_count()} cores")
    for head in ("", "at once", "client ms", "server ms", "both ms", "requests/s"):
        table.add_column(head, justify="right")
    for row in rows:
        both = row.client_ms + row.server_ms
        figures = (f"{row.client_ms:.3f}", f"{row.server_ms:.3f}", f"{both:.3f}", f"{row.each_second:.0f}")
        table.add_row(row.kind, str(row.at_once), *figures)
    Console(width=110).print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
