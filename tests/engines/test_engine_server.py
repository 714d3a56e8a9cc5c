"""The engine over its socket: our client, a stranger's HTTP, bad input, full queues."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ranvier.engines import (
    EngineClient,
    EngineRefused,
    EngineTimeout,
    EngineUnfit,
    EngineUnreachable,
    Message,
    Sampling,
    ScoreRequest,
    TextRequest,
)
from ranvier.engines.local import LocalHost
from ranvier.engines.server import EngineServer

pytestmark = pytest.mark.models
SAY = {"role": "user", "content": "x"}


def request(**how: Any) -> TextRequest:
    return TextRequest((Message("user", "sea sky"),), Sampling(**{"max_tokens": 8, "seed": b"s" * 32, **how}))


@pytest.fixture
async def endpoint(tiny: Any, tmp_path: Path) -> AsyncIterator[str]:
    server = EngineServer(LocalHost([tiny], max_queue=4))
    yield await server.start(f"unix:{tmp_path}/engine.sock")
    await server.stop()


@pytest.fixture
async def engine(endpoint: str) -> AsyncIterator[EngineClient]:
    async with EngineClient(endpoint) as client:
        yield client


async def test_the_socket_is_private(endpoint: str) -> None:
    mode = Path(endpoint.removeprefix("unix:")).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


async def test_info_tells_what_a_verifier_compares(engine: EngineClient) -> None:
    (info,) = await engine.info()
    assert (info.id, info.kind, info.dtype, info.device) == ("tiny", "text", "float32", "cpu")
    assert len(info.digest) == 64
    assert info.extra["vocabulary"] == 64
    await engine.require("text", {"seeded-gumbel-v1", "score"})


async def test_concurrent_requests_share_batches_and_stay_right(engine: EngineClient, tiny: Any) -> None:
    asked = [request(seed=bytes([number]) * 32) for number in range(4)]
    made = await asyncio.gather(*(engine.generate(one) for one in asked))
    assert [one.token_ids for one in made] == [tiny.generate([one])[0].token_ids for one in asked]


async def test_streamed_pieces_make_the_text(engine: EngineClient) -> None:
    *pieces, made = [item async for item in engine.stream(request())]
    assert not isinstance(made, str)
    assert "".join(str(piece) for piece in pieces) == made.text
    assert made == await engine.generate(request())


async def test_scoring_over_the_socket(engine: EngineClient) -> None:
    asked = request()
    made = await engine.generate(asked)
    (evidence,) = await engine.score([ScoreRequest(asked.messages, asked.sampling, made.token_ids)])
    assert evidence.expected == made.token_ids


async def test_what_is_missing_is_named(engine: EngineClient) -> None:
    with pytest.raises(EngineUnfit, match="image=any is needed; it serves text=tiny"):
        await engine.require("image")
    with pytest.raises(EngineUnfit, match="does not offer levitation"):
        await engine.require("text", {"levitation"})
    with pytest.raises(EngineRefused, match="text=other is not served here"):
        await engine.generate(request(), model="other")


async def test_an_unreachable_engine_says_what_to_do(tmp_path: Path) -> None:
    async with EngineClient(f"unix:{tmp_path}/none.sock") as client:
        with pytest.raises(EngineUnreachable, match="ranvier engine"):
            await client.info()
    with pytest.raises(EngineUnfit, match="unix:/path"):
        async with EngineClient("ftp://nowhere"):
            pass


async def test_a_deadline_is_kept(engine: EngineClient) -> None:
    with pytest.raises(EngineTimeout):
        await engine.generate(request(max_tokens=200), deadline=0.0001)


async def call(endpoint: str, path: str, body: Any) -> tuple[int, Any]:
    connector = aiohttp.UnixConnector(endpoint.removeprefix("unix:"))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(
            f"http://engine{path}", data=body if isinstance(body, bytes) else json.dumps(body)
        ) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/v1/ranvier/generate", b"{", "JSON"),
        ("/v1/ranvier/generate", {"request": {"messages": []}}, "messages"),
        (
            "/v1/ranvier/score",
            {"requests": [{"messages": [{"role": "user", "content": "x"}], "token_ids": [-5]}]},
            "id",
        ),
        ("/v1/chat/completions", {"messages": [{"role": "king", "content": "x"}]}, "role"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5000}, "fit"),
    ],
)
async def test_bad_input_is_a_400_with_a_reason(endpoint: str, path: str, body: Any, reason: str) -> None:
    status, reply = await call(endpoint, path, body)
    assert status == 400
    assert reason in reply["error"]["message"]


async def test_an_openai_client_is_served(endpoint: str) -> None:
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "sea"}], "max_tokens": 6, "seed": 5}
    status, reply = await call(endpoint, "/v1/chat/completions", chat)
    assert status == 200
    assert reply["choices"][0]["message"]["role"] == "assistant"
    assert reply["usage"]["completion_tokens"] <= 6
    assert (await call(endpoint, "/v1/chat/completions", chat))[1]["choices"] == reply["choices"]


async def test_an_openai_stream_is_served(endpoint: str) -> None:
    connector = aiohttp.UnixConnector(endpoint.removeprefix("unix:"))
    body = {"messages": [{"role": "user", "content": "sea"}], "max_tokens": 6, "stream": True}
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post("http://engine/v1/chat/completions", json=body) as response,
    ):
        lines = [line async for line in response.content if line.strip()]
    assert lines[-1] == b"data: [DONE]\n"
    assert all(line.startswith(b"data: ") for line in lines)


async def test_a_foreign_server_serves_chat_and_lacks_features(tiny: Any, tmp_path: Path) -> None:
    """A server that knows only OpenAI's routes: ours without the extensions."""
    from aiohttp import web

    from ranvier.engines.openai import OpenAiRoutes
    from ranvier.engines.problems import problems

    ours = EngineServer(LocalHost([tiny]))
    app = web.Application(middlewares=[problems])
    OpenAiRoutes(ours.find, lambda: [tiny.info]).add_to(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with EngineClient(f"http://{host}:{port}") as client:
        made = await client.generate(request(seed=None))
        assert made.finish_reason in ("stop", "length")
        assert made.prompt_tokens > 0
        with pytest.raises(EngineUnfit, match="does not offer score, seeded-gumbel-v1"):
            await client.require("text", {"seeded-gumbel-v1", "score"})
        with pytest.raises(EngineUnfit, match="seeded-gumbel-v1"):
            await client.generate(request())
    await runner.cleanup()
    await ours.stop()


async def test_a_full_queue_says_try_again(tiny: Any, tmp_path: Path) -> None:
    server = EngineServer(LocalHost([tiny], max_batch=1, max_queue=1))
    endpoint = await server.start(f"unix:{tmp_path}/small.sock")
    async with EngineClient(endpoint) as client:
        done = await asyncio.gather(
            *(client.generate(request(max_tokens=100)) for _ in range(8)), return_exceptions=True
        )
    refused = [one for one in done if isinstance(one, EngineRefused)]
    assert refused
    assert all(one.status == 429 and one.retry_after == 1 for one in refused)
    await server.stop()


async def test_metrics_count_what_came_of_every_request(tiny: Any, tmp_path: Path) -> None:
    server = EngineServer(LocalHost([tiny], max_batch=1, max_queue=1))
    endpoint = await server.start(f"unix:{tmp_path}/small.sock")
    shown = await server.show("127.0.0.1", 0)
    async with EngineClient(endpoint) as client:
        found = await asyncio.gather(
            *(client.generate(request(max_tokens=20)) for _ in range(8)), return_exceptions=True
        )
    done = [one for one in found if not isinstance(one, Exception)]
    async with aiohttp.ClientSession() as session, session.get(f"{shown}/metrics") as response:
        families = text_string_to_metric_families(await response.text())
        values = {
            (sample.name, sample.labels.get("end") or sample.labels.get("le")): sample.value
            for family in families
            for sample in family.samples
            if sample.labels.get("model") == "tiny"
        }
    async with aiohttp.ClientSession() as session, session.post(f"{shown}/v1/ranvier/generate") as response:
        assert response.status == 404
    await server.stop()
    assert 0 < len(done) < 8
    assert values["ranvier_engine_requests_total", "done"] == len(done)
    assert values["ranvier_engine_requests_total", "refused"] == 8 - len(done)
    assert values["ranvier_engine_request_seconds_bucket", "+Inf"] == len(done)
    assert values["ranvier_engine_batched_requests_total", None] == len(done)
    assert values["ranvier_engine_tokens_total", None] == sum(len(one.token_ids) for one in done)
    assert values["ranvier_engine_busy_seconds_total", None] > 0
    assert values["ranvier_engine_waiting", None] == values["ranvier_engine_running", None] == 0
    assert values["ranvier_engine_tokens_per_second", None] > 0


async def test_a_worker_tells_its_device_memory_and_what_runs(tiny: Any, tmp_path: Path) -> None:
    server = EngineServer(LocalHost([tiny], max_batch=4))
    endpoint = await server.start(f"unix:{tmp_path}/told.sock")
    async with EngineClient(endpoint) as client:
        writing = asyncio.gather(*(client.generate(request(max_tokens=240)) for _ in range(3)))
        running = 0.0
        while not running and not writing.done():
            page = (await client.metrics()).decode()
            (line,) = (one for one in page.splitlines() if one.startswith("ranvier_engine_running{"))
            running = float(line.split()[-1])
        await writing
        (state,) = await client.state()
    await server.stop()
    assert 0 < running <= 3
    assert state.pid == os.getpid()
    assert 0 < state.resident <= state.peak
    (device,) = state.devices
    assert device.device == "cpu"
    assert device.name
    assert 0 < device.free <= device.total
    assert f'ranvier_engine_device{{device="cpu",name="{device.name}"}} 1.0' in page


async def test_a_prompt_of_a_gigabyte_is_refused_while_others_are_answered(engine: EngineClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'{"request": {"messages": [{"role": "user", "content": "'
        for _ in range(1024):
            yield b"x" * (1 << 20)
            sent += 1

    async def huge() -> int:
        connector = aiohttp.UnixConnector(engine.endpoint.removeprefix("unix:"))
        async with aiohttp.ClientSession(connector=connector) as session:
            try:
                async with session.post("http://engine/v1/ranvier/generate", data=endless()) as response:
                    return response.status
            except aiohttp.ClientConnectionError:  # closed on us while we were still sending
                return 413

    status, made = await asyncio.gather(huge(), engine.generate(request()))
    assert status == 413
    assert sent < 64
    assert made.token_ids == (await engine.generate(request())).token_ids


async def test_no_room_is_a_refusal_that_says_when(tiny_folder: Path, tmp_path: Path) -> None:
    from ranvier.engines.text.model import CausalText
    from ranvier.engines.text.network import Network

    small = CausalText("tiny", Network.load(str(tiny_folder), dtype="float32", device="cpu"), room=120)
    server = EngineServer(LocalHost([small]))
    async with EngineClient(await server.start(f"unix:{tmp_path}/small.sock")) as client:
        asked = [request(max_tokens=40, seed=bytes([number]) * 32) for number in range(6)]
        found = await asyncio.gather(*(client.generate(one) for one in asked), return_exceptions=True)
        refused = [one for one in found if isinstance(one, EngineRefused)]
        assert 0 < len(refused) < 6
        assert all(one.status == 503 and one.retry_after == 2 for one in refused)
        again = await client.generate(asked[0])
    await server.stop()
    assert again.token_ids == next(one for one in found if not isinstance(one, BaseException)).token_ids
