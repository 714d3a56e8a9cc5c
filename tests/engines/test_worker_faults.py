"""Real engine processes whose workers are killed, starved of memory, or given far too much."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from ranvier.engines import EngineClient, EngineRefused, Generation, Message, Sampling, TextRequest

pytestmark = [pytest.mark.models, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]
CLI = (sys.executable, "-m", "ranvier.neurons.cli")
GIGABYTE = 1 << 30


def request(number: int = 1, **how: object) -> TextRequest:
    sampling = Sampling(**{"max_tokens": 8, "seed": bytes([number]) * 32, **how})  # type: ignore[arg-type]
    return TextRequest((Message("user", f"sea w{number}"),), sampling)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_spare(pid: int) -> bool:
    return b"--warm" in Path(f"/proc/{pid}/cmdline").read_bytes()


def resident(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def engine(
    folder: Path | str, socket: Path, *flags: str
) -> AsyncIterator[tuple[Process, EngineClient]]:
    """`ranvier engine` as an operator starts it."""
    where = f"unix:{socket}"
    process = await asyncio.create_subprocess_exec(
        *(*CLI, "engine", "--model", f"text={folder}", "--listen", where, "--threads", "1", *flags),
        stdout=PIPE,
    )
    try:
        assert process.stdout is not None
        assert (await process.stdout.readline()).startswith(b"engine at")
        async with EngineClient(where) as client:
            yield process, client
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def until_served(client: EngineClient) -> Generation:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(EngineRefused):
                return await client.generate(request())
            await asyncio.sleep(0.05)


async def warm_engine(process: Process) -> tuple[int, int]:
    """Its worker and its spare process."""
    assert process.pid
    while not (spares := [one for one in children(process.pid) if is_spare(one)]):
        await asyncio.sleep(0.05)
    (worker,) = set(children(process.pid)) - set(spares)
    return worker, spares[0]


async def half_told(client: EngineClient, asked: TextRequest, worker: int) -> asyncio.Future[object]:
    """The wait for a piece of an answer of which some are here and some are not: the worker is stopped, not ended.

    On a busy machine an answer may be whole before anybody could stop the worker; then there is another one.
    """
    while True:
        told = client.stream(asked)
        assert isinstance(await anext(told), str)
        os.kill(worker, signal.SIGSTOP)
        with contextlib.suppress(StopAsyncIteration):
            while True:
                piece = asyncio.ensure_future(anext(told))
                if not (await asyncio.wait({piece}, timeout=1))[0]:
                    return piece
                await piece
        os.kill(worker, signal.SIGCONT)


@pytest.mark.slow
async def test_a_worker_killed_under_load_is_replaced_and_nobody_notices(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """What it had not answered is asked of the process after it; who was told half an answer may ask again."""
    async with engine(tiny_folder, tmp_path / "s") as (process, client):
        expected = await client.generate(request())
        worker, spare = await warm_engine(process)
        asked = [request(n, temperature=0.0, max_tokens=240) for n in range(40)]
        load = [asyncio.ensure_future(client.generate(one)) for one in asked]
        waiting = await half_told(client, asked[0], worker)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(EngineRefused, match="no engine behind this one"):
            await waiting
        ended = await asyncio.gather(*load)
        assert await client.generate(request()) == expected
        assert [one.token_ids for one in ended] == [(await client.generate(one)).token_ids for one in asked]
        assert spare in children(process.pid), "the spare process took over"


@pytest.mark.slow
async def test_a_gigabyte_is_refused_at_every_door_and_others_go_on(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async with engine(tiny_folder, tmp_path / "s", "--no-spare") as (process, client):
        (worker,) = children(process.pid)
        before = resident(process.pid), resident(worker)
        others = asyncio.gather(*(client.generate(request(n, max_tokens=100)) for n in range(8)))
        for path in ("/v1/ranvier/generate", "/v1/chat/completions"):
            assert await flood(f"{tmp_path}/s", path, declared=True) == 413
            assert await flood(f"{tmp_path}/s", path, declared=False) == 413
        assert len(await others) == 8
        await client.generate(request())
        assert resident(process.pid) - before[0] < 100 << 20
        assert resident(worker) - before[1] < 200 << 20
        assert children(process.pid) == [worker], "nobody had to be replaced"


async def flood(socket: str, path: str, *, declared: bool) -> int:
    """The status that a gigabyte gets, whose length is said before or not; it is sent as far as it is taken."""
    reader, writer = await asyncio.open_unix_connection(socket)
    length = f"Content-Length: {GIGABYTE}" if declared else "Transfer-Encoding: chunked"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: engine\r\n{length}\r\n\r\n".encode())
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


@pytest.mark.slow
async def test_a_packed_gigabyte_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    """A megabyte that unpacks to a thousand."""
    import zlib

    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(1024)) + packer.flush()
    async with engine(tiny_folder, tmp_path / "s", "--no-spare") as (process, client):
        before = resident(process.pid)
        connector = aiohttp.UnixConnector(f"{tmp_path}/s")
        async with aiohttp.ClientSession(connector=connector) as session:
            head = {"Content-Encoding": "gzip"}
            async with session.post("http://e/v1/ranvier/generate", data=packed, headers=head) as reply:
                assert reply.status in (400, 413)
        assert resident(process.pid) - before < 100 << 20
        await client.generate(request())


@pytest.mark.slow
async def test_a_worker_with_little_memory_refuses_for_now_and_lives(tmp_path: Path) -> None:
    """Twenty that reserve more than the bound holds; a bound that is too small to start with is told as such."""
    least = await least_memory(tmp_path)
    assert least < 1024, "270 MB of weights stay in their file where memory is short"
    flags = "--no-spare", "--memory", str(least), "--batch", "32"
    async with engine("smollm2", tmp_path / "s", *flags) as (process, client):
        workers = children(process.pid)
        asked = [client.generate(request(n, max_tokens=900, stop=("e", "a", " "))) for n in range(20)]
        ended = await asyncio.gather(*asked, return_exceptions=True)
        refused = [one for one in ended if isinstance(one, EngineRefused)]
        assert refused, "the bound was never met"
        assert all(one.retry_after for one in refused)
        assert 0 < sum(isinstance(one, Generation) for one in ended) == 20 - len(refused), ended
        await until_served(client)
        assert children(process.pid) == workers, "and nobody died of it"


async def least_memory(tmp_path: Path) -> int:
    """What the engine says that a worker needs, MiB."""
    flags = "--listen", f"unix:{tmp_path}/s", "--threads", "1", "--memory", "700", "--no-spare"
    process = await asyncio.create_subprocess_exec(
        *(*CLI, "engine", "--model", "text=smollm2", *flags), stdout=PIPE, stderr=PIPE
    )
    _, said = await process.communicate()
    found = re.search(r"Give it (\d+) MiB or more", " ".join(said.decode().split()))
    assert found, said
    return int(found[1])
