"""Workers that hang, never serve, or whose engine ends while they load."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import psutil
import pytest

from ranvier.engines import Message, Sampling, TextRequest
from ranvier.engines.errors import WorkerFailed
from ranvier.engines.upstream import front as front_module
from ranvier.engines.upstream.front import Front
from ranvier.engines.upstream.plan import WorkerPlan
from ranvier.engines.upstream.process import WorkerProcess

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(240)]
PLAN = WorkerPlan(models=("text=smollm2-gguf",), listen="", threads=1, batch=2, llama=True)
ASKED = TextRequest((Message("user", "sea"),), Sampling(4))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not true():
            await asyncio.sleep(0.05)


async def test_a_worker_that_hangs_is_ended_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_module, "SILENT", 1.0)
    monkeypatch.setattr(front_module, "PERIOD", 0.2)
    front = Front((PLAN,))
    await front.start()
    try:
        (pool,) = front.serving
        assert (await pool.do("generate", ASKED)).token_ids
        hung = front.workers[0].pid
        os.kill(hung, signal.SIGSTOP)
        await until(lambda: front.workers[0].pid != hung and bool(front.serving) and any(
            one.up for one in front._upstreams
        ))  # fmt: skip
        assert not psutil.pid_exists(hung)
        (pool,) = front.serving
        assert (await pool.do("generate", ASKED)).token_ids
    finally:
        await front.stop()


async def test_a_worker_that_never_serves_is_an_error_and_gone() -> None:
    worker = WorkerProcess("0", PLAN.model_copy(update={"start_seconds": 0.05}))
    with pytest.raises(WorkerFailed, match=r"did not serve within 0\.05 s"):
        await worker.start()
    assert not psutil.pid_exists(worker.pid)


async def engine(*more: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "ranvier.neurons.cli", "engine", *more, "--listen", "http://127.0.0.1:0")
    return await asyncio.create_subprocess_exec(*command)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_an_engine_that_ends_while_its_worker_loads_leaves_nobody(number: signal.Signals) -> None:
    process = await engine("--model", "text=smollm2", "--threads", "1")
    parent = psutil.Process(process.pid)
    await until(lambda: bool(parent.children()))
    await asyncio.sleep(0.5)
    children = parent.children()
    process.send_signal(number)
    assert await process.wait() == (-number if number == signal.SIGKILL else 0)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
