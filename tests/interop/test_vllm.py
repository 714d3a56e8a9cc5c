"""A real vLLM (its build for CPUs) behind a miner: seeds, ids, log-probabilities, refusals, failover."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import numpy as np
import pytest
from vllm_server import KEY, needs_vllm, served

from ranvier.engines import (
    SEEDED_GUMBEL,
    EngineClient,
    EngineRefused,
    Generation,
    Message,
    Sampling,
    ScoreRequest,
    TextRequest,
    TokenEvidence,
)
from ranvier.engines.server import EngineServer
from ranvier.engines.store import Store
from ranvier.engines.upstream.front import Front
from ranvier.engines.upstream.upstream import Address

pytestmark = [pytest.mark.slow, pytest.mark.models, needs_vllm, pytest.mark.timeout(600)]
HOW = [(1.0, 1.0), (0.7, 1.0), (1.0, 0.9), (0.0, 1.0), (0.8, 0.5), (1.3, 0.95)]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("vllm") / "vllm.log"
    with served(Store().path("smollm2"), "smollm2", log) as where:
        yield where


@asynccontextmanager
async def front(*addresses: Address) -> AsyncIterator[EngineClient]:
    made = Front((), addresses)
    await made.start()
    server = EngineServer(made)
    try:
        async with EngineClient(await server.start("http://127.0.0.1:0")) as client:
            yield client
    finally:
        await server.stop()


def request(number: int, **more: Any) -> TextRequest:
    temperature, top_p = HOW[number % len(HOW)]
    how = {"max_tokens": 10 + 4 * number, "temperature": temperature, "top_p": top_p}
    said = f"Write {number + 2} words about the sea and ships."
    return TextRequest((Message("user", said),), Sampling(**{**how, "seed": bytes([number]) * 32, **more}))


def judged(asked: list[TextRequest], made: list[Generation], dtype: str = "float32") -> list[TokenEvidence]:
    """One prefill of our own engine, as a validator does it."""
    from ranvier.engines.text.model import CausalText
    from ranvier.engines.text.network import Network

    network = Network.load(str(Store().path("smollm2")), dtype=dtype, device="cpu")
    pairs = zip(asked, made, strict=True)
    return CausalText("smollm2", network).score(
        [ScoreRequest(one.messages, one.sampling, given.token_ids) for one, given in pairs]
    )


async def test_every_token_is_the_seeded_choice_whoever_else_is_in_the_batch(endpoint: str) -> None:
    asked = [request(number) for number in range(9)]
    async with front(Address(endpoint, 32, KEY, seeded=True)) as client:
        info = await client.require("text", {SEEDED_GUMBEL, "stream", "logprobs"})
        assert info.id == "smollm2"
        others = (client.generate(request(number, seed=None)) for number in range(2))
        made = (await asyncio.gather(*(client.generate(one) for one in asked), *others))[:9]
        *pieces, streamed = [piece async for piece in client.stream(asked[4])]
    assert isinstance(streamed, Generation)
    assert streamed.token_ids == made[4].token_ids, "whole or in pieces, alone or among others"
    assert "".join(str(piece) for piece in pieces) == streamed.text == made[4].text

    evidence = judged(asked, made)
    tokens = [pair for one, given in zip(evidence, made, strict=True)
              for pair in zip(one.expected, given.token_ids, one.margin, strict=True)]  # fmt: skip
    wrong = [margin for expected, token, margin in tokens if expected != token]
    assert len(tokens) > 120
    assert len(wrong) <= len(tokens) * 0.01
    assert all(margin < 0.01 for margin in wrong), "the last bits of float32 apart, it is one sampler"
    for one, given in zip(evidence, made, strict=True):
        assert one.text == given.text
        assert np.abs(np.subtract(one.logprob, given.logprobs)).max() < 0.01, "of the raw distribution"
        ended = given.token_ids[-1] in one.end_token_ids
        assert ended == (given.finish_reason == "stop"), "the end token is among the ids"

    hot = [
        replace(one, sampling=replace(one.sampling, temperature=1.0, seed=b"other".ljust(32)))
        for one in asked
    ]
    agreed = [
        expected == token
        for one, given in zip(judged(hot, made), made, strict=True)
        for expected, token in zip(one.expected, given.token_ids, strict=True)
    ]
    assert sum(agreed) < 0.7 * len(agreed), "another seed is seen at once"


async def test_a_request_that_could_not_be_proven_is_refused_by_vllm(endpoint: str) -> None:
    body = {"model": "smollm2", "messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
    seed = {"vllm_xargs": {"ranvier_seed": "00" * 32}}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        for more in ({**seed, "top_k": 5}, {**seed, "n": 2}, {"vllm_xargs": {"ranvier_seed": "00"}}):
            async with session.post(f"{endpoint}/v1/chat/completions", json={**body, **more}) as answer:
                assert answer.status == 400
                assert "ranvier_seed" in await answer.text()
        async with session.post(f"{endpoint}/v1/chat/completions", json={**body, **seed}) as answer:
            assert answer.status == 200, "and it lives"


async def test_keys_names_and_long_prompts(endpoint: str) -> None:
    async with EngineClient(endpoint, api_key="wrong") as client:
        with pytest.raises(EngineRefused) as caught:
            await client.info()
        assert caught.value.status == 401
    async with front(Address(endpoint, 8, KEY, model="smollm2", name="ours")) as client:
        made = await client.generate(request(0, seed=None), model="ours")
        assert len(made.token_ids) == len(made.logprobs) > 0, "vLLM tells ids without a seed, too"
        with pytest.raises(EngineRefused, match="context length") as caught:
            await client.generate(TextRequest((Message("user", "sea " * 3000),), Sampling(4)))
        assert caught.value.status == 400


async def test_a_caller_who_leaves_frees_its_place(endpoint: str) -> None:
    async def running(session: aiohttp.ClientSession) -> float:
        async with session.get(f"{endpoint}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(one.split()[-1]) for one in lines if one.startswith("vllm:num_requests_running{"))

    async def until(session: aiohttp.ClientSession, number: int) -> None:
        async with asyncio.timeout(60):
            while await running(session) != number:
                await asyncio.sleep(0.1)

    async with (
        front(Address(endpoint, 8, KEY)) as client,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
    ):
        await until(session, 0)
        long = asyncio.ensure_future(client.generate(request(0, max_tokens=900, temperature=1.9, seed=None)))
        await until(session, 1)
        long.cancel()
        await until(session, 0)
