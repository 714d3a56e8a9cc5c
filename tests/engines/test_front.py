"""Several engines behind one: who gets a request, who takes over, what callers are told."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ranvier.engines import EngineClient, EngineRefused, Generation, Message, ModelInfo, Sampling, TextRequest
from ranvier.engines.errors import EngineError
from ranvier.engines.server import EngineServer
from ranvier.engines.upstream.front import Front
from ranvier.engines.upstream.upstream import Address, Upstream

SAY = Generation("sea sky", (6, 7), (-0.5, -0.25), 3, "length")


class Echo:
    """A text model in place of a network: what is tested here is the way there."""

    def __init__(self, digest: str = "d", hold: asyncio.Event | None = None, pieces: int = 0) -> None:
        self.info = ModelInfo("echo", "text", digest, "float32", "cpu", ("seeded-gumbel-v1", "stream"))
        self.asked, self.running, self.most = 0, 0, 0
        self._hold, self._pieces = hold, pieces
        self.waiting = 0

    async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
        self.asked, self.running = self.asked + 1, self.running + 1
        self.most = max(self.most, self.running)
        try:
            for _ in range(self._pieces if on_piece else 0):
                assert on_piece is not None
                on_piece("sea ")
            if self._hold is not None:
                await self._hold.wait()
            return SAY
        finally:
            self.running -= 1


class House:
    """A host of one model."""

    pending = ""

    def __init__(self, model: Echo) -> None:
        self.serving = [model]

    async def state(self) -> list[Any]:
        return []

    async def page(self) -> bytes:
        return b""

    async def stop(self) -> None: ...


@asynccontextmanager
async def engine(model: Echo, path: Path) -> AsyncIterator[str]:
    server = EngineServer(House(model))
    try:
        yield await server.start(f"unix:{path}")
    finally:
        await server.stop()


@asynccontextmanager
async def front(*addresses: Address, max_queue: int = 8) -> AsyncIterator[EngineClient]:
    """A front before these engines, and a client of it."""
    made = Front((), addresses, max_queue=max_queue)
    await made.start()
    server = EngineServer(made)
    endpoint = await server.start("http://127.0.0.1:0")
    try:
        async with EngineClient(endpoint) as client:
            yield client
    finally:
        await server.stop()


def request(**how: Any) -> TextRequest:
    return TextRequest((Message("user", "sea"),), Sampling(**{"max_tokens": 2, "seed": b"s" * 32, **how}))


async def all_of(client: EngineClient, number: int) -> list[Generation | BaseException]:
    return await asyncio.gather(*(client.generate(request()) for _ in range(number)), return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_the_least_busy_engine_is_asked(tmp_path: Path) -> None:
    hold = asyncio.Event()
    small, large = Echo(hold=hold), Echo(hold=hold)
    async with (
        engine(small, tmp_path / "a") as first,
        engine(large, tmp_path / "b") as second,
        front(Address(first, capacity=2), Address(second, capacity=6)) as client,
    ):
        asked = asyncio.ensure_future(all_of(client, 8))
        await until(lambda: small.running + large.running == 8)
        assert (small.running, large.running) == (2, 6), "by their capacities"
        hold.set()
        assert await asked == [SAY] * 8


async def test_what_is_too_much_waits_in_turn_and_then_is_refused(tmp_path: Path) -> None:
    hold, model = asyncio.Event(), Echo(hold=None)
    model._hold = hold
    async with (
        engine(model, tmp_path / "a") as first,
        front(Address(first, capacity=2), max_queue=3) as client,
    ):
        asked = asyncio.ensure_future(all_of(client, 8))
        await until(lambda: model.running == 2)
        await asyncio.sleep(0.2)
        hold.set()
        made = await asked
    refused = [one for one in made if isinstance(one, EngineRefused)]
    assert made.count(SAY) == 5, "two at once, three that waited"
    assert model.most == 2
    assert {(one.status, one.retry_after) for one in refused} == {(429, 1.0)}


class Wire:
    """The way to an engine, which can be torn as by the death of its process."""

    def __init__(self, target: str) -> None:
        self._target = target.removeprefix("unix:")
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def open(self, path: Path) -> str:
        self._server = await asyncio.start_unix_server(self._joined, path)
        return f"unix:{path}"

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._target)
        self._writers += [writer, back]
        await asyncio.gather(self._pour(reader, back), self._pour(there, writer), return_exceptions=True)

    async def _pour(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    def tear(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()


async def test_another_takes_over_from_one_that_dies_with_requests(tmp_path: Path) -> None:
    hold = asyncio.Event()
    dying, other = Echo(hold=hold), Echo()
    async with engine(dying, tmp_path / "a") as there, engine(other, tmp_path / "b") as second:
        wire = Wire(there)
        first = await wire.open(tmp_path / "wire")
        async with front(Address(first), Address(second, capacity=1)) as client:
            asked = asyncio.ensure_future(all_of(client, 4))
            await until(lambda: dying.running >= 2)
            wire.tear()
            assert await asked == [SAY] * 4
            assert await all_of(client, 3) == [SAY] * 3, "and nobody is sent there again"
            assert dying.asked <= 4


async def test_nobody_left_is_a_refusal_that_may_be_tried_again_and_the_engine_comes_back(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        server = EngineServer(House(Echo()))
        first = await server.start(f"unix:{tmp_path / 'a'}")
        client = await stack.enter_async_context(front(Address(first)))
        assert await client.generate(request()) == SAY
        await server.stop()
        with pytest.raises(EngineRefused, match="no engine behind this one can serve echo") as caught:
            await client.generate(request())
        assert (caught.value.status, caught.value.retry_after) == (503, 2)
        await stack.enter_async_context(engine(Echo(), tmp_path / "a"))
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await client.generate(request()) == SAY
                    break
                except EngineRefused:
                    await asyncio.sleep(0.1)


async def test_an_engine_that_is_down_at_the_start_joins_later(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(front(Address(f"unix:{tmp_path / 'a'}")))
        with pytest.raises(
            EngineRefused, match="text=any is not served here; served: nothing; unix:"
        ) as caught:
            await client.generate(request())
        assert caught.value.retry_after == 2
        await stack.enter_async_context(engine(Echo(), tmp_path / "a"))
        async with asyncio.timeout(10):
            while not await client.info(fresh=True):
                await asyncio.sleep(0.1)
        assert await client.generate(request()) == SAY


async def test_other_weights_under_the_same_name_are_not_mixed_in(tmp_path: Path) -> None:
    right, wrong = Echo("right"), Echo("wrong")
    async with (
        engine(right, tmp_path / "a") as first,
        engine(wrong, tmp_path / "b") as second,
        front(Address(first, capacity=1), Address(second)) as client,
    ):
        await all_of(client, 8)
        (info,) = await client.info()
    assert 0 in (right.asked, wrong.asked)
    assert {"right": right, "wrong": wrong}[info.digest].asked == 8


async def test_another_dtype_under_the_same_name_is_not_mixed_in(tmp_path: Path) -> None:
    """A validator that knows one of them would not know the other's answers again; who does not say is believed."""
    fine, coarse, silent = Echo(), Echo(), Echo()
    for one, dtype in ((fine, "float32"), (coarse, "bfloat16"), (silent, "")):
        one.info = replace(one.info, dtype=dtype)
    async with (
        engine(fine, tmp_path / "a") as first,
        engine(coarse, tmp_path / "b") as second,
        engine(silent, tmp_path / "c") as third,
    ):
        async with front(Address(first, capacity=1), Address(second)) as client:
            await all_of(client, 8)
            (info,) = await client.info()
        assert {"float32": fine, "bfloat16": coarse}[info.dtype].asked == 8
        async with front(Address(first, capacity=1), Address(third)) as client:
            await all_of(client, 8)
        assert silent.asked


async def test_an_engine_with_other_weights_than_the_operator_named_is_not_used(tmp_path: Path) -> None:
    right, wrong = Echo("right"), Echo("wrong")
    async with (
        engine(right, tmp_path / "a") as first,
        engine(wrong, tmp_path / "b") as second,
        front(Address(first, digest="right"), Address(second, digest="right")) as client,
    ):
        assert await all_of(client, 4) == [SAY] * 4
    assert (right.asked, wrong.asked) == (4, 0)


async def test_what_not_all_offer_is_not_offered(tmp_path: Path) -> None:
    """Who gets a request must make no difference."""
    able, plain = Echo(), Echo()
    plain.info = replace(plain.info, features=("stream",))
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(engine(able, tmp_path / "a"))
        second = EngineServer(House(plain))
        address = await second.start(f"unix:{tmp_path / 'b'}")
        client = await stack.enter_async_context(front(Address(first), Address(address)))
        with pytest.raises(EngineRefused, match="echo does not offer seeded-gumbel-v1") as caught:
            await client.generate(request())
        assert caught.value.status == 400
        assert await client.generate(request(seed=None)) == SAY
        with pytest.raises(EngineRefused, match="echo does not offer score"):
            await client.score([])
        assert (able.asked, plain.asked) in ((1, 0), (0, 1))
        await second.stop()
        await client.generate(request(seed=None))
        (info,) = await client.info(fresh=True)
        assert "seeded-gumbel-v1" not in info.features, "it may come back"


async def test_a_refused_one_goes_to_another_engine_an_invalid_one_does_not(tmp_path: Path) -> None:
    class Busy(Echo):
        status = 429

        async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
            self.asked += 1
            from ranvier.engines.problems import Problem

            raise Problem(self.status, "no", retry_after=1)

    busy, other = Busy(), Echo()
    async with (
        engine(busy, tmp_path / "a") as first,
        engine(other, tmp_path / "b") as second,
        front(Address(first, capacity=32), Address(second, capacity=1)) as client,
    ):
        assert await client.generate(request()) == SAY
        assert busy.asked == 1
        assert await client.generate(request()) == SAY
        assert busy.asked == 1, "it is left alone for the second it asked for"
        busy.status = 422
        await asyncio.sleep(1.1)
        with pytest.raises(EngineRefused) as caught:
            await client.generate(request())
        assert caught.value.status == 400


async def test_a_stream_that_broke_before_its_first_piece_is_begun_elsewhere(tmp_path: Path) -> None:
    async def text_of(client: EngineClient) -> list[str | Generation]:
        return [piece async for piece in client.stream(request())]

    class Broken(Echo):
        async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
            self.asked += 1
            if self._pieces and on_piece:
                on_piece("sea ")
            await asyncio.sleep(0.05)
            raise EngineError("it broke")

    broken, other = Broken(), Echo(pieces=2)
    async with (
        engine(broken, tmp_path / "a") as first,
        engine(other, tmp_path / "b") as second,
        front(Address(first, capacity=32), Address(second, capacity=1)) as client,
    ):
        assert await text_of(client) == ["sea ", "sea ", SAY]
        assert broken.asked == 1
        broken._pieces = 1
        with pytest.raises(EngineRefused, match="it broke"):  # what was said cannot be taken back
            await text_of(client)


async def test_names_keys_and_counts(tmp_path: Path) -> None:
    async with (
        engine(Echo(), tmp_path / "a") as first,
        front(Address(first, model="echo", name="mine", digest="d")) as client,
    ):
        (info,) = await client.info()
        assert (info.id, info.digest) == ("mine", "d")
        await client.generate(request(), model="mine")
        page = (await client.metrics()).decode()
    assert f'ranvier_engine_upstream_requests_total{{upstream="{first} echo"}} 1.0' in page
    assert f'ranvier_engine_upstream_up{{upstream="{first} echo"}} 1.0' in page


async def test_a_caller_who_leaves_is_forgotten_everywhere(tmp_path: Path) -> None:
    hold = asyncio.Event()
    model = Echo(hold=hold)
    async with engine(model, tmp_path / "a") as first, front(Address(first)) as client:
        asked = asyncio.ensure_future(client.generate(request()))
        await until(lambda: model.running == 1)
        asked.cancel()
        await until(lambda: model.running == 0)


async def test_a_flood_of_one_client_does_not_starve_another(tmp_path: Path) -> None:
    class Slow(Echo):
        async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
            ends.append(item.messages[0].content)
            await asyncio.sleep(0.02)
            return SAY

    ends: list[str] = []

    def says(who: str) -> TextRequest:
        return TextRequest((Message("user", who),), Sampling(max_tokens=2))

    async def flood(client: EngineClient) -> list[Any]:
        return await asyncio.gather(*(client.generate(says("f")) for _ in range(60)), return_exceptions=True)

    async with (
        engine(Slow(), tmp_path / "a") as first,
        front(Address(first, capacity=2), max_queue=24) as one,
        EngineClient(one.endpoint) as two,
    ):
        flooding = asyncio.ensure_future(flood(one))
        await until(lambda: len(ends) >= 4)
        came = len(ends)
        made = await asyncio.gather(*(two.generate(says("o")) for _ in range(8)))
        flooded = await flooding
    assert made == [SAY] * 8, "none of them was turned away"
    assert "".join(ends[came:]).startswith(("fofofofofofofofo", "ofofofofofofofo", "ffofofofofofofofo"))
    assert any(isinstance(one, EngineRefused) and one.status == 429 for one in flooded)
    assert flooded.count(SAY) >= 18


async def test_processes_that_name_nobody_are_told_apart_by_the_kernel(tmp_path: Path) -> None:
    import aiohttp

    from ranvier.engines.asker import HEADER, asker

    class Noting(Echo):
        async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
            seen.append(asker.get())
            return SAY

    seen: list[str] = []
    body = {"messages": [{"role": "user", "content": "x"}]}
    async with engine(Noting(), tmp_path / "a") as first:
        connector = aiohttp.UnixConnector(first.removeprefix("unix:"))
        async with aiohttp.ClientSession(connector=connector) as session:
            for headers in ({}, {HEADER: "n" * 999}):
                await session.post("http://engine/v1/chat/completions", json=body, headers=headers)
    assert seen == [f"pid {os.getpid()}", "n" * 64]


@pytest.mark.models
async def test_workers_tell_their_memory_through_the_front(tiny_folder: Path) -> None:
    from ranvier.engines.upstream.plan import WorkerPlan

    made = Front([WorkerPlan(models=(f"text={tiny_folder}",), listen="", dtype="float32", threads=1)])
    await made.start()
    server = EngineServer(made)
    try:
        async with EngineClient(await server.start("http://127.0.0.1:0")) as client:
            await client.generate(request())
            (state,) = await client.state()
            page = (await client.metrics()).decode()
            health = json.loads(await client._get("/health", 5.0))
    finally:
        await server.stop()
    assert [one["pid"] for one in health["workers"]] == [state.pid]
    assert (state.worker, state.pid) == ("0", made.workers[0].pid)
    assert state.models == (f"text={tiny_folder}",)
    assert state.resident > 100 << 20, "torch is in there"
    assert state.devices[0].device == "cpu"
    for line in (
        'ranvier_engine_worker_bytes{state="peak",worker="0"}',
        'ranvier_engine_worker_cpu_seconds_total{worker="0"}',
        'ranvier_engine_upstream_tokens_total{upstream="worker 0"} 2.0',
        'ranvier_engine_device_bytes{device="cpu",state="free",worker="0"}',
    ):
        assert line in page


async def test_a_light_engine_takes_the_unseeded_while_they_are_few(tmp_path: Path) -> None:
    """And nothing that has a seed or penalties; where it fails, the model itself answers."""
    hold = asyncio.Event()
    light, main = Echo("four bits", hold=hold), Echo()
    front = Front()
    async with engine(light, tmp_path / "a") as first, engine(main, tmp_path / "b") as second:
        for name, where, is_light in (("0", first, True), ("1", second, False)):
            upstream = front._own[name] = Upstream(
                Address(where, name="echo" if is_light else "", light=is_light)
            )
            await upstream.client.__aenter__()
            front._join(upstream, await upstream.client.info())
            upstream.seen()
        (pool,) = front.serving
        assert (pool.info.digest, pool.info.extra["light"]) == ("d", "echo")
        few = [asyncio.ensure_future(pool.do("generate", request(seed=None))) for _ in range(8)]
        await until(lambda: light.running == 8)
        assert await pool.do("generate", request(seed=None)) == SAY, "one more goes to the model itself"
        hold.set()
        await asyncio.gather(*few)
        assert (light.asked, main.asked) == (8, 1)
        for how in ({"seed": b"s" * 32}, {"seed": None, "repetition_penalty": 1.1}):
            await pool.do("generate", request(**how))
        assert (light.asked, main.asked) == (8, 3)
        assert await pool.do("generate", request(seed=None)) == SAY
        assert light.asked == 9
    async with engine(main, tmp_path / "b2") as third:
        other = front._own["2"] = Upstream(Address(third))
        await other.client.__aenter__()
        front._join(other, await other.client.info())
        other.seen()
        assert await pool.do("generate", request(seed=None)) == SAY, "the light one is gone; nobody notices"
    await front.stop()
