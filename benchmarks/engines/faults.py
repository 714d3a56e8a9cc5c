"""A worker that is killed, one that has too little memory, a prompt of a gigabyte: what the others notice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Awaitable, Sequence

from figure import Figure
from running import CLI, Engine, cpu_of, ours, resident

from ranvier.engines import EngineClient, EngineRefused, Generation, Message, Sampling, TextRequest

MODEL = ("--model", "text=smollm2")
GIGABYTE = 1 << 30


def _asked(number: int, **how: object) -> TextRequest:
    sampling = Sampling(**{"max_tokens": 24, "seed": bytes([number]) * 32, **how})  # type: ignore[arg-type]
    return TextRequest((Message("user", f"Tell me about the number {number}."),), sampling)


def figures(*, quick: bool) -> Sequence[Figure]:
    """All three."""
    del quick
    with ours(*MODEL) as engine:
        made = [*asyncio.run(_gigabyte(engine)), *asyncio.run(_killed(engine))]
    least = _least()
    with ours(*MODEL, "--no-spare", "--memory", str(least), "--batch", "32") as engine:
        return [*made, asyncio.run(_starved(engine, least))]


async def _ends(asked: Sequence[Awaitable[Generation]]) -> tuple[int, int, int]:
    """Answers, refusals that may be tried again, and anything else."""
    ended = await asyncio.gather(*asked, return_exceptions=True)
    done = sum(isinstance(one, Generation) for one in ended)
    refused = sum(isinstance(one, EngineRefused) and one.retry_after is not None for one in ended)
    return done, refused, len(ended) - done - refused


async def _gigabyte(engine: Engine) -> list[Figure]:
    pids = engine.process.pid, *(pid for pid in engine.children if pid != engine.spare)
    async with EngineClient(engine.endpoint) as client:
        await client.generate(_asked(0))
        before = sum(resident(pid) for pid in pids)
        others = [asyncio.ensure_future(client.generate(_asked(number), deadline=600)) for number in range(8)]
        said = [await _flood(engine, declared) for declared in (True, False)]
        grown = sum(resident(pid) for pid in pids) - before
        done, refused, lost = await _ends(others)
    note = f"{done} of 8 others finished; refused with {said[0]} and {said[1]} (length told, not told)"
    grew = Figure(
        "1 GB prompt: memory of the engine grows by",
        f"{max(grown, 0):.0f} MiB",
        max(grown, 0),
        most=150,
        note=note,
    )
    return [
        grew,
        Figure("1 GB prompt: others that do not finish", str(refused + lost), refused + lost, most=0.5),
    ]


async def _flood(engine: Engine, declared: bool) -> int:
    reader, writer = await asyncio.open_unix_connection(engine.endpoint.removeprefix("unix:"))
    length = f"Content-Length: {GIGABYTE}" if declared else "Transfer-Encoding: chunked"
    writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nHost: engine\r\n{length}\r\n\r\n".encode())
    block = b" " * (1 << 20)

    async def pour() -> None:
        with contextlib.suppress(OSError):
            for _ in range(GIGABYTE >> 20):
                writer.write(block if declared else b"100000\r\n" + block + b"\r\n")
                await writer.drain()

    pouring = asyncio.ensure_future(pour())
    status = int((await reader.readline()).split()[1])
    pouring.cancel()
    await asyncio.gather(pouring, return_exceptions=True)
    writer.transport.abort()
    return status


async def _killed(engine: Engine) -> list[Figure]:
    """SIGKILL, as the kernel does where memory is out; callers who are refused ask again."""
    spare = engine.spare
    await _idle(spare)
    (worker,) = set(engine.children) - {spare}
    async with EngineClient(engine.endpoint) as client:
        load = [asyncio.ensure_future(client.generate(_asked(number), deadline=600)) for number in range(24)]
        await asyncio.sleep(1.0)
        used, began = cpu_of(spare), time.monotonic()
        os.kill(worker, signal.SIGKILL)
        await _shown(client, 0)
        await _shown(client, 1)
        back, used = time.monotonic() - began, cpu_of(spare) - used
        await client.generate(_asked(0, max_tokens=1), deadline=600)
        answer = time.monotonic() - began
        done, refused, lost = await _ends(load)
    note = (
        f"{used:.1f} s of processor time; a newcomer among the others was answered after {answer:.1f} s; of 24 asked "
        f"{done} were answered, {refused} told to try again"
    )
    return [
        Figure("worker killed under load: serves again after", f"{back:.1f} s", back, most=5, note=note),
        Figure("worker killed under load: neither answered nor told to try again", str(lost), lost, most=0.5),
    ]


async def _shown(client: EngineClient, up: int) -> None:
    """Until the engine shows its worker as up, or as down."""
    async with asyncio.timeout(60):
        line = f'ranvier_engine_upstream_up{{upstream="worker 0"}} {up}.0'
        while line not in (await client.metrics()).decode():  # noqa: ASYNC110  it is another process
            await asyncio.sleep(0.02)


async def _idle(pid: int) -> None:
    """Until the spare process has imported all."""
    last = -1.0
    while last != (last := cpu_of(pid)) or last == 0:  # noqa: ASYNC110  it says nothing
        await asyncio.sleep(2.0)


def _least() -> int:
    """MiB that the engine says a worker needs at least."""
    command = (
        *CLI,
        "engine",
        *MODEL,
        "--threads",
        "1",
        "--no-spare",
        "--memory",
        "700",
        "--listen",
        "http://127.0.0.1:0",
    )
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    found = re.search(r"Give it (\d+) MiB or more", " ".join(said.split()))
    if found is None:
        raise RuntimeError(f"no bound was told: {said[-500:]}")
    return int(found[1])


async def _starved(engine: Engine, least: int) -> Figure:
    workers = engine.children
    async with EngineClient(engine.endpoint) as client:
        wide = [
            client.generate(_asked(n, max_tokens=900, stop=("e", "a", " ")), deadline=600) for n in range(20)
        ]
        done, refused, lost = await _ends(wide)
    died = engine.children != workers
    note = f"{least} MiB, 20 that reserve 900 tokens each: {done} answered, {refused} told to try again"
    return Figure(
        "out of memory: lost requests and workers", str(lost + died), lost + died, most=0.5, note=note
    )
