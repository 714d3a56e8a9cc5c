"""What an OpenAI client asks for: it gets it, or is told that it does not; over a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ranvier.engines.local import LocalHost
from ranvier.engines.server import EngineServer

pytestmark = pytest.mark.models
CHAT = {"messages": [{"role": "user", "content": "sea sky"}], "max_tokens": 12, "seed": 4}


@pytest.fixture
async def http(tiny: Any, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    server = EngineServer(LocalHost([tiny]))
    await server.start(f"unix:{tmp_path}/s")
    async with aiohttp.ClientSession(
        "http://engine", connector=aiohttp.UnixConnector(f"{tmp_path}/s")
    ) as session:
        yield session
    await server.stop()


async def ask(http: aiohttp.ClientSession, **more: Any) -> tuple[int, Any]:
    async with http.post("/v1/chat/completions", json={**CHAT, **more}) as reply:
        return reply.status, await reply.json()


async def events(http: aiohttp.ClientSession, **more: Any) -> list[Any]:
    async with http.post("/v1/chat/completions", json={**CHAT, **more, "stream": True}) as reply:
        assert reply.status == 200, await reply.text()
        lines = [line async for line in reply.content if line.strip()]
    assert lines.pop() == b"data: [DONE]\n"
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def text_of(chunks: list[Any], index: int) -> str:
    parts = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(part["delta"].get("content", "") for part in parts)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"tools": [{"type": "function"}]}, "tools: this engine does not have it"),
        ({"response_format": {"type": "json_object"}}, "response_format: this engine does not have it"),
        ({"logit_bias": {"5": 3}}, "logit_bias"),
        ({"levitation": 1}, "levitation"),
        ({"top_logprobs": 2}, "needs logprobs"),
        ({"top_k": 5}, "top_k: seeded-gumbel-v1 has temperature and top_p only"),
        ({"repetition_penalty": 1.2}, "repetition_penalty: seeded"),
        ({"n": 9}, "n: "),
        ({"stop": ""}, "stop"),
        ({"max_tokens": 5000}, "do not fit into a context of 256"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages"),
    ],
)
async def test_what_is_not_had_is_refused_by_name(
    http: aiohttp.ClientSession, more: dict[str, Any], said: str
) -> None:
    status, reply = await ask(http, **more)
    assert status == 400
    assert said in reply["error"]["message"]


async def test_what_asks_for_nothing_is_taken(http: aiohttp.ClientSession) -> None:
    plain = (await ask(http))[1]["choices"]
    idle = {
        "user": "me", "tools": [], "logit_bias": {}, "response_format": {"type": "text"}, "stop": None, "top_k": -1,
        "presence_penalty": 0, "max_tokens": None, "max_completion_tokens": 12,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "sea "}, {"type": "text", "text": "sky"}]}],
    }  # fmt: skip
    assert (await ask(http, **idle))[1]["choices"] == plain


async def test_several_choices_whole_and_as_a_stream(http: aiohttp.ClientSession) -> None:
    status, reply = await ask(http, n=3)
    assert status == 200
    texts = [one["message"]["content"] for one in reply["choices"]]
    assert len(set(texts)) > 1, "each choice has a seed of its own"
    assert texts[0] == (await ask(http))[1]["choices"][0]["message"]["content"]
    *chunks, last = await events(http, n=3, stream_options={"include_usage": True})
    assert [text_of(chunks, index) for index in range(3)] == texts
    assert last == {**last, "choices": [], "usage": reply["usage"]}


async def test_log_probabilities_whole_and_as_a_stream(http: aiohttp.ClientSession) -> None:
    _, reply = await ask(http, logprobs=True, top_logprobs=3, return_token_ids=True)
    (choice,) = reply["choices"]
    content = choice["logprobs"]["content"]
    assert len(content) == reply["usage"]["completion_tokens"] == len(choice["token_ids"])
    assert [one["id"] for one in content] == choice["token_ids"]
    for one in content:
        likely = [other["logprob"] for other in one["top_logprobs"]]
        assert likely == sorted(likely, reverse=True)
        assert len(likely) == 3
        assert one["logprob"] <= likely[0] <= 0
        assert bytes(one["bytes"]).decode() == one["token"]
    chunks = await events(http, logprobs=True, top_logprobs=3)
    streamed = [
        one for chunk in chunks for part in chunk["choices"] for one in (part.get("logprobs") or {}).get("content", [])
    ]  # fmt: skip
    assert streamed == content


async def test_a_stream_is_never_told_more_than_its_stop(http: aiohttp.ClientSession) -> None:
    whole = (await ask(http, max_tokens=60))[1]["choices"][0]["message"]["content"]
    stop = whole[7:16]  # over a boundary of tokens, with a space in it
    _, reply = await ask(http, max_tokens=60, stop=[stop, "never said"])
    (choice,) = reply["choices"]
    assert choice["message"]["content"] == whole[: whole.index(stop)]
    assert choice["finish_reason"] == "stop"
    assert text_of(await events(http, max_tokens=60, stop=stop), 0) == choice["message"]["content"]
    almost = stop + "#"
    assert text_of(await events(http, max_tokens=60, stop=almost), 0) == whole, "what was held back comes"


async def test_a_choice_that_is_refused_ends_the_others(http: aiohttp.ClientSession) -> None:
    status, reply = await ask(http, n=2, max_tokens=300)
    assert (status, "do not fit" in reply["error"]["message"]) == (400, True)
