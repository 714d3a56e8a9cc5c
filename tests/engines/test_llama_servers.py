"""llama.cpp's server, as a model of ours and as somebody else's: failover under load, log-probabilities, its death."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from ranvier.engines import EngineClient, EngineRefused, Generation, Message, Sampling, TextRequest
from ranvier.engines.llama import gguf_of
from ranvier.engines.upstream.plan import WorkerPlan, WorkerReady
from ranvier.engines.upstream.process import WorkerProcess

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(300)]
GGUF = "smollm2-gguf"
PLAN = WorkerPlan(models=(f"text={GGUF}",), listen="", threads=1, batch=4, llama=True)


@pytest.fixture(autouse=True)
def prepared() -> None:
    assert gguf_of(GGUF), "`ranvier models prepare smollm2-gguf`, which `make test-slow` does"


@asynccontextmanager
async def server() -> AsyncIterator[tuple[WorkerReady, WorkerProcess]]:
    """llama.cpp's HTTP server with a key, in a process of its own."""
    process = WorkerProcess("llama", PLAN)
    try:
        yield await process.start(), process
    finally:
        await process.kill()


@asynccontextmanager
async def command(
    folder: Path, *flags: str, tables: str = "", **variables: str
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """``ranvier engine`` as an operator starts it; its endpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "engine.toml").write_text(f'listen = "http://127.0.0.1:0"\n{tables}')
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ranvier.neurons.cli", "engine", "--config", str(folder / "engine.toml")),
        *flags,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        env={**os.environ, **variables, "PYTHONUNBUFFERED": "1"},
    )
    log.close()
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert line.startswith("engine at "), (folder / "log").read_text()[-2000:]
        yield line.removeprefix("engine at ").strip(), process
    finally:
        if process.returncode is None:
            process.terminate()
        assert await process.wait() in (0, -signal.SIGKILL)


def upstream(ready: WorkerReady, capacity: int = 4) -> str:
    return (
        f'[[upstreams]]\nendpoint = "{ready.endpoint}"\ncapacity = {capacity}\nkey_env = "{key_of(ready)}"\n'
    )


def key_of(ready: WorkerReady) -> str:
    return f"KEY_{ready.endpoint.rpartition(':')[2]}"


def keys(*all_ready: WorkerReady) -> dict[str, str]:
    return {key_of(one): one.api_key or "" for one in all_ready}


def request(number: int = 0, **how: Any) -> TextRequest:
    asked = f"Write {number} words about the sea."
    return TextRequest((Message("user", asked),), Sampling(**{"max_tokens": 24, **how}))


async def persistent(client: EngineClient, asked: TextRequest) -> Generation:
    """As a neuron should: a refusal for now is tried again."""
    while True:
        try:
            return await client.generate(asked)
        except EngineRefused as refusal:
            assert refusal.retry_after is not None, refusal
            await asyncio.sleep(0.2)


async def test_log_probabilities_ids_streams_and_refusals_of_a_real_server(tmp_path: Path) -> None:
    async with (
        server() as (ready, _),
        command(tmp_path, tables=upstream(ready), **keys(ready)) as (endpoint, _),
        EngineClient(endpoint) as client,
    ):
        info = await client.require("text", {"stream", "logprobs"})
        assert info.id == GGUF
        assert info.extra["server"] == "llamacpp"
        made = await client.generate(request(temperature=0.0))
        assert len(made.token_ids) == len(made.logprobs) > 10
        assert all(one <= 0 for one in made.logprobs)
        *pieces, last = [piece async for piece in client.stream(request(temperature=0.0))]
        assert isinstance(last, Generation)
        assert len(pieces) > 5
        assert "".join(str(one) for one in pieces) == last.text
        assert len(last.token_ids) == len(last.logprobs) > 10
        with pytest.raises(EngineRefused, match="context size") as caught:
            await client.generate(TextRequest((Message("user", "sea " * 9000),), Sampling(4)))
        assert caught.value.status == 400
        with pytest.raises(EngineRefused, match="does not offer seeded-gumbel-v1"):
            await client.generate(request(seed=b"s" * 32))
        assert ready.api_key is not None
        assert ready.api_key not in (tmp_path / "log").read_text() + (await client.metrics()).decode()


async def test_one_of_two_servers_is_killed_under_load_and_every_request_is_answered(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first, dying = await stack.enter_async_context(server())
        second, _ = await stack.enter_async_context(server())
        tables = upstream(first) + upstream(second)
        endpoint, _ = await stack.enter_async_context(command(tmp_path, tables=tables, **keys(first, second)))
        client = await stack.enter_async_context(EngineClient(endpoint))
        asked = [asyncio.ensure_future(client.generate(request(number))) for number in range(16)]
        async with asyncio.timeout(120):
            while not await gauge(client, "running", first.endpoint):
                await asyncio.sleep(0.02)
        assert await gauge(client, "running", second.endpoint) > 0, "the load is shared"
        os.kill(dying.pid, signal.SIGKILL)
        made = await asyncio.gather(*asked)
        assert all(0 < len(one.token_ids) <= 24 for one in made), "no request was lost, none refused"
        assert await gauge(client, "up", first.endpoint) == 0
        assert await gauge(client, "up", second.endpoint) == 1


async def gauge(client: EngineClient, name: str, upstream: str) -> float:
    """A figure of the page, as an operator reads it."""
    page = (await client.metrics()).decode().splitlines()
    wanted = f'ranvier_engine_upstream_{name}{{upstream="{upstream}"}} '
    return float(next(line for line in page if line.startswith(wanted)).removeprefix(wanted))


async def test_a_gguf_model_of_ours_comes_back_after_its_process_was_killed(tmp_path: Path) -> None:
    async with (
        command(tmp_path, "--model", f"text={GGUF}", "--threads", "1", "--batch", "4") as (endpoint, process),
        EngineClient(endpoint) as client,
    ):
        assert (await client.info())[0].id == GGUF
        asked = [asyncio.ensure_future(persistent(client, request(number))) for number in range(6)]
        await asyncio.sleep(0.5)
        (worker,) = llama_workers(process.pid)
        worker.kill()
        made = await asyncio.gather(*asked)
        assert all(one.token_ids for one in made)
        (again,) = llama_workers(process.pid)
        assert again.pid != worker.pid
    assert not again.is_running(), "the engine leaves nobody behind"


def llama_workers(engine: int) -> list[psutil.Process]:
    children = psutil.Process(engine).children()
    return [one for one in children if "--warm" not in one.cmdline()]


async def test_an_engine_behind_an_engine_and_both_ends_of_it_die(tmp_path: Path) -> None:
    """A miner outgrows one box: its engine is a front for the engines of two others."""
    async with AsyncExitStack() as stack:
        flags = ("--model", f"text={GGUF}", "--threads", "1", "--batch", "4")
        first, process = await stack.enter_async_context(command(tmp_path / "a", *flags))
        second, _ = await stack.enter_async_context(command(tmp_path / "b", *flags))
        ends = ("--upstream", first, "--upstream", second)
        endpoint, _ = await stack.enter_async_context(command(tmp_path / "front", *ends))
        client = await stack.enter_async_context(EngineClient(endpoint))
        assert [one.id for one in await client.info()] == [GGUF]
        asked = [asyncio.ensure_future(client.generate(request(number))) for number in range(8)]
        await asyncio.sleep(0.5)
        workers = llama_workers(process.pid)
        process.kill()
        assert all(one.token_ids for one in await asyncio.gather(*asked))
        gone, alive = psutil.wait_procs(workers, timeout=30)
        assert (len(gone), alive) == (1, []), "workers do not outlive their engine, however it ends"
