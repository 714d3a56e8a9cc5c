"""Embeddings: unit vectors that do not depend on their company."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ranvier.engines import EngineClient
from ranvier.engines.errors import TextTooLong
from ranvier.engines.local import LocalHost
from ranvier.engines.server import EngineServer
from ranvier.engines.store import Store

pytestmark = pytest.mark.models
TEXTS = ["a red apple", "an apple that is red", "quarterly figures of the harbour", "x", "word " * 60]


@pytest.fixture(scope="module")
def embedder() -> Iterator[Any]:
    if not Store().has("minilm"):
        pytest.skip("minilm is not prepared; run `ranvier models prepare`")
    from ranvier.engines.load import Loader, Spec

    (model,) = Loader().load([Spec("embed", "minilm")])
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield model
    torch.set_num_threads(threads)


def test_vectors_have_length_one_and_the_declared_size(embedder: Any) -> None:
    vectors = np.array(embedder.embed(TEXTS))
    assert vectors.shape == (len(TEXTS), embedder.info.extra["dimensions"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_text_has_the_same_vector_alone_and_in_any_batch(embedder: Any) -> None:
    together = np.array(embedder.embed(TEXTS))
    alone = np.array([embedder.embed([text])[0] for text in TEXTS])
    assert (together == alone).all()
    assert (np.array(embedder.embed(TEXTS[::-1]))[::-1] == together).all()
    crowd = np.array(embedder.embed([*TEXTS, *(f"{text} {n}" for text in TEXTS for n in range(7))]))
    assert (crowd[: len(TEXTS)] == together).all()


def test_more_threads_move_the_seventh_place(embedder: Any) -> None:
    import torch

    alone = np.array([embedder.embed([text])[0] for text in TEXTS])
    torch.set_num_threads(2)
    try:
        assert np.array(embedder.embed(TEXTS)) == pytest.approx(alone, abs=1e-6)
    finally:
        torch.set_num_threads(1)


def test_a_text_beyond_the_limit_is_refused_with_its_place(embedder: Any) -> None:
    limit = embedder.info.extra["max_tokens"]
    assert len(embedder.embed(["sea " * (limit - 2)])) == 1
    with pytest.raises(TextTooLong, match=r"text 1 has 258 tokens, the model reads 256"):
        embedder.embed(["short", "sea " * limit])
    assert embedder.info.extra["longer"] == "refused"


def test_no_text_no_vector(embedder: Any) -> None:
    assert embedder.embed([]) == []


async def test_a_text_that_is_too_long_is_not_the_fault_of_who_waits_beside_it(embedder: Any) -> None:
    served = LocalHost([embedder]).serving[0]
    long, *rest = await asyncio.gather(
        served.do("embed", ["sea " * 300]),
        *(served.do("embed", [text]) for text in TEXTS),
        return_exceptions=True,
    )
    assert isinstance(long, TextTooLong)
    assert [len(rows) for rows in rest] == [1] * len(TEXTS)
    await served.worker.stop()


def test_meaning_is_near_and_nonsense_far(embedder: Any) -> None:
    apple, same, other, *_ = np.array(embedder.embed(TEXTS))
    assert apple @ same > 0.8
    assert apple @ other < 0.4


async def test_over_the_socket_and_the_openai_route(embedder: Any, tmp_path: Any) -> None:
    import aiohttp

    server = EngineServer(LocalHost([embedder]))
    endpoint = await server.start(f"unix:{tmp_path}/embed.sock")
    async with EngineClient(endpoint) as client:
        ours = await client.embed(TEXTS[:2])
    connector = aiohttp.UnixConnector(f"{tmp_path}/embed.sock")
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post("http://engine/v1/embeddings", json={"input": TEXTS[:2]}) as response,
    ):
        theirs = (await response.json())["data"]
        async with session.post("http://engine/v1/embeddings", json={"input": ["sea " * 300]}) as refused:
            assert refused.status == 400
            assert "shorten or split it" in (await refused.json())["error"]["message"]
    await server.stop()
    for index, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        assert other["index"] == index
        assert other["embedding"] == pytest.approx(own, abs=1e-5)
