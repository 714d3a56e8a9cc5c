"""An OpenAI-compatible server that is not ours and not to be believed: what it says wrong, late, or too much of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web

from ranvier.engines import (
    EngineClient,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnfit,
    Generation,
    Message,
    Sampling,
    TextRequest,
)
from ranvier.engines import client as client_module
from ranvier.engines.server import EngineServer
from ranvier.engines.upstream import upstream as upstream_module
from ranvier.engines.upstream.front import Front
from ranvier.engines.upstream.upstream import Address

KEY = "sk-secret-of-the-operator"


def choice(**more: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": "sea"}, "finish_reason": "stop", **more}


def said(**more: Any) -> dict[str, Any]:
    return {"choices": [choice(**more)], "usage": {"prompt_tokens": 3}}


def scored(*logprobs: Any, **more: Any) -> dict[str, Any]:
    return {"content": [{"token": "sea", "logprob": one, **more} for one in logprobs]}


class Stranger:
    """What hosted servers look like, with replies to be set."""

    def __init__(self) -> None:
        self.models: Any = {"data": [{"id": "m", "owned_by": "somebody"}]}
        self.replies: list[Any] = []
        """The last one is repeated."""
        self.bodies: list[dict[str, Any]] = []
        self.redirected = 0

    async def listed(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise web.HTTPUnauthorized
        return self.models if isinstance(self.models, web.Response) else web.json_response(self.models)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, bytes):
            return web.Response(body=reply, content_type="application/json")
        if isinstance(reply, list):
            return web.Response(body=b"".join(b"data: " + one + b"\n\n" for one in reply))
        if isinstance(reply, int):
            raise _status(reply)
        if isinstance(reply, asyncio.Event):
            await reply.wait()
        if isinstance(reply, Exception):
            raise reply
        return web.json_response(reply)

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        self.redirected += 1
        return web.json_response(said())


def _status(status: int, **headers: str) -> web.HTTPException:
    made = web.HTTPException(headers=headers, text=json.dumps({"error": {"message": f"status {status}"}}))
    made.set_status(status)
    return made


@asynccontextmanager
async def stranger() -> AsyncIterator[tuple[Stranger, str]]:
    made, app = Stranger(), web.Application()
    app.router.add_get("/v1/models", made.listed)
    app.router.add_post("/v1/chat/completions", made.chat)
    app.router.add_post("/elsewhere", made.elsewhere)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield made, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def request(**how: Any) -> TextRequest:
    return TextRequest((Message("user", "sea"),), Sampling(**{"max_tokens": 2, **how}))


async def test_log_probabilities_and_ids_as_each_kind_of_server_tells_them() -> None:
    async with stranger() as (server, endpoint), EngineClient(endpoint, api_key=KEY) as client:
        server.replies = [
            said(logprobs=scored(-0.5, -0.25, id=7)),  # llama.cpp
            said(logprobs=scored(-0.5, -0.25), token_ids=[7, 8]),  # vLLM
            said(logprobs=scored(-0.5)),  # hosted
            said(),  # hosted, of a model that tells none
        ]
        made = [await client.generate(request()) for _ in range(4)]
    assert [(one.token_ids, one.logprobs) for one in made] == [
        ((7, 7), (-0.5, -0.25)),
        ((7, 8), (-0.5, -0.25)),
        ((), (-0.5,)),
        ((), ()),
    ]
    assert made[0] == Generation("sea", (7, 7), (-0.5, -0.25), 3, "stop")
    assert {body["top_logprobs"] for body in server.bodies} == {1}, "llama.cpp tells none for 0"
    assert not any("return_token_ids" in body or "vllm_xargs" in body for body in server.bodies)


async def test_vllm_is_asked_for_ids_and_seeds_go_to_one_with_the_plugin_only() -> None:
    async with (
        stranger() as (server, endpoint),
        EngineClient(endpoint, api_key=KEY) as plain,
        EngineClient(endpoint, api_key=KEY, seeded=True, logprobs=False) as seeded,
    ):
        server.models, server.replies = {"data": [{"id": "m", "owned_by": "vllm"}]}, [said()]
        await plain.generate(request())
        with pytest.raises(EngineUnfit, match="does not offer seeded-gumbel-v1"):
            await plain.generate(request(seed=b"s" * 32))
        await seeded.generate(request(seed=b"s" * 32, temperature=0.5, top_p=0.9))
        with pytest.raises(EngineUnfit, match=r"vLLM samples at 0 and from 0.01 on, not at 0.001"):
            await seeded.generate(request(seed=b"s" * 32, temperature=0.001))
        (info,) = await seeded.info()
    first, second = server.bodies
    assert first["return_token_ids"]
    assert second["vllm_xargs"] == {"ranvier_seed": (b"s" * 32).hex()}
    assert (second["top_k"], second["min_p"], second["repetition_penalty"]) == (-1, 0.0, 1.0)
    assert "logprobs" not in second
    assert info.features == ("stream", "seeded-gumbel-v1")


DEEP = b"[" * 200_000
WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": (b"<html>", "not a chat completion"),
    "deep": (DEEP, "not a chat completion"),
    "no choices": ({"choices": []}, "not a chat completion"),
    "a list": ([], "not a chat completion"),
    "text that is none": (said(message={"content": ["sea"]}), "not a chat completion"),
    "infinite": (b'{"choices":[' + json.dumps(choice(logprobs=scored(float("-inf")))).encode() + b"]}", "number"),
    "null": (said(logprobs=scored(None)), "not a chat completion"),
    "more ids than log-probabilities": (said(logprobs=scored(-1.0), token_ids=[1, 2]), "2 token ids and 1 log"),
    "ids that are none": (said(token_ids=[-1]), "a token id that is none"),
    "no end": (said(finish_reason=None), "broke off"),
    "aborted": (said(finish_reason="abort"), "broke off"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_answer_is_a_refusal_and_counts_against_the_server(name: str) -> None:
    reply, why = WRONG[name]
    async with stranger() as (server, endpoint), EngineClient(endpoint, api_key=KEY) as client:
        server.replies = [json.dumps(reply).encode() if reply == [] else reply]
        with pytest.raises(EngineRefused, match=why) as caught:
            await client.generate(request())
        assert len(str(caught.value)) < 500


async def test_more_than_an_answer_can_be_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MOST_SAID", 1 << 20)
    bomb = json.dumps(said(message={"content": "x" * (3 << 20)})).encode()
    async with stranger() as (server, endpoint), EngineClient(endpoint, api_key=KEY) as client:
        server.replies = [bomb]
        with pytest.raises(EngineRefused, match="more than 1 MiB"):
            await client.generate(request())
        packed = web.Response(body=bomb, content_type="application/json")
        packed.enable_compression(web.ContentCoding.gzip)
        server.models = packed
        with pytest.raises(EngineRefused, match="more than 1 MiB"):
            await client.info(fresh=True)
        server.replies = [[bomb]]
        with pytest.raises(EngineRefused, match="more than 1 MiB"):
            [one async for one in client.stream(request())]


async def test_a_redirection_is_refused_and_the_key_stays_here() -> None:
    async with stranger() as (server, endpoint), EngineClient(endpoint, api_key=KEY) as client:
        server.replies = [_status(307, Location=f"{endpoint}/elsewhere")]
        with pytest.raises(EngineRefused) as caught:
            await client.generate(request())
        assert caught.value.status == 307
        assert server.redirected == 0


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [("7", 7), ("1.5", 1.5), ("-1", None), ("soon", None), ("1e300", 600), ("nan", None), ("", None)],
)
async def test_when_to_try_again(wait: str, seconds: float | None) -> None:
    async with stranger() as (server, endpoint), EngineClient(endpoint, api_key=KEY) as client:
        server.replies = [_status(429, **{"Retry-After": wait})]
        with pytest.raises(EngineRefused, match="status 429") as caught:
            await client.generate(request())
        assert caught.value.retry_after == seconds
        server.replies = [_status(429, **{"Retry-After": formatdate(usegmt=True)})]
        with pytest.raises(EngineRefused) as caught:
            await client.generate(request())
        assert caught.value.retry_after == 0


@pytest.mark.parametrize(
    "models",
    [
        {"data": 3},
        {"data": [{"id": 3}]},
        {"data": [{"id": ""}]},
        {"data": [{"id": "x" * 1000}]},
        {"data": [{"id": f"m{n}"} for n in range(200)]},
        [],
    ],
    ids=["number", "no name", "empty name", "long name", "too many", "list"],
)
async def test_a_list_of_models_that_is_none(models: Any) -> None:
    async with stranger() as (server, endpoint), EngineClient(endpoint, api_key=KEY) as client:
        server.models = models
        with pytest.raises(EngineRefused, match="models"):
            await client.info()


async def test_one_of_many_models_is_found_by_its_name() -> None:
    async with stranger() as (server, endpoint), EngineClient(endpoint, api_key=KEY, only="m77") as client:
        server.models = {"data": [{"id": f"m{n}"} for n in range(200)]}
        (info,) = await client.info()
        assert info.id == "m77"


@asynccontextmanager
async def front(*addresses: Address) -> AsyncIterator[EngineClient]:
    made = Front((), addresses)
    await made.start()
    server = EngineServer(made)
    endpoint = await server.start("http://127.0.0.1:0")
    try:
        async with EngineClient(endpoint) as client:
            yield client
    finally:
        await server.stop()


async def test_a_busy_server_is_waited_for_as_long_as_it_asks() -> None:
    async with stranger() as (server, endpoint), front(Address(endpoint, api_key=KEY)) as client:
        server.replies = [_status(429, **{"Retry-After": "0.2"}), _status(503), said()]
        made = await client.generate(request())
        assert made.text == "sea"
        assert len(server.bodies) == 3
        server.replies = [_status(429, **{"Retry-After": "120"})]
        with pytest.raises(EngineRefused, match=r"status 429|it is busy") as caught:
            await client.generate(request())
        assert caught.value.status == 503
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 60, "nobody waits here for minutes"


async def test_a_server_that_answers_wrong_is_asked_last() -> None:
    async with (
        stranger() as (wrong, there),
        stranger() as (right, second),
        front(Address(there, 64, KEY), Address(second, 1, KEY)) as client,
    ):
        wrong.replies, right.replies = [b"<html>"], [said()]
        for _ in range(12):
            assert (await client.generate(request())).text == "sea"
        assert len(wrong.bodies) < 9, "its 64 places made it the first choice, its answers did not"


async def test_a_server_that_never_answers_loses_its_turn_to_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream_module, "PATIENCE", 0.1)
    async with (
        stranger() as (silent, there),
        stranger() as (right, second),
        front(Address(there, 8, KEY), Address(second, 4, KEY)) as client,
    ):
        silent.replies, right.replies = [asyncio.Event()], [said()]
        lost = 0
        for _ in range(12):
            try:
                await client.generate(request(), deadline=0.5)
            except EngineTimeout:
                lost += 1
    assert 0 < lost < 5
    assert len(silent.bodies) == lost


async def test_keys_are_nowhere_to_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    async with stranger() as (server, endpoint), front(Address(endpoint, api_key=KEY)) as client:
        server.replies = [said(), 401, _status(500)]
        await client.generate(request())
        with pytest.raises(EngineError) as caught:
            await client.generate(request())
        page = await client.metrics()
        infos = await client.info(fresh=True)
    shown = (
        caplog.text + str(caught.value) + page.decode() + repr(infos) + repr(Address(endpoint, api_key=KEY))
    )
    assert KEY not in shown
