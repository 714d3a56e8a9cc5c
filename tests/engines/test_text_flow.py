"""Writing and checking in one thread: neither waits for the other, and one bad request is nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ranvier.engines.meter import EngineMeter
from ranvier.engines.models import Message, Sampling, ScoreRequest, TextRequest
from ranvier.engines.served import Served

pytestmark = pytest.mark.models


def request(number: int = 1, **how: Any) -> TextRequest:
    sampling = Sampling(**{"max_tokens": 8, "seed": bytes([number]) * 32, **how})
    return TextRequest((Message("user", f"sea w{number}"),), sampling)


@pytest.fixture
async def served(tiny: Any) -> AsyncIterator[Served]:
    made = Served(tiny, EngineMeter(), max_batch=2)
    yield made
    await made.worker.stop()


def checks(count: int, token: int = 7) -> list[ScoreRequest]:
    asked = request()
    return [ScoreRequest(asked.messages, asked.sampling, (token,) * 20) for _ in range(count)]


async def test_a_large_check_holds_no_writer_up(
    served: Served, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one writes, a check is read in small packs, a token of the writer between two of them."""
    monkeypatch.setattr("ranvier.engines.text.model.CHUNK", 32)
    seen: list[str] = []
    forward = type(tiny._network)._forward

    def noted(self: Any, packing: Any, cache: Any) -> Any:
        seen.append("check" if cache is None else "write")
        return forward(self, packing, cache)

    asked = (request(number, max_tokens=200) for number in range(99))
    long = next(one for one in asked if len(tiny.generate([one])[0].token_ids) > 60)
    began = asyncio.Event()
    monkeypatch.setattr(type(tiny._network), "_forward", noted)
    writing = asyncio.ensure_future(served.do("generate", long, lambda _: began.set()))
    await began.wait()
    evidence = await served.do("score", checks(12))
    assert len(evidence) == 12
    order = "".join(one[0] for one in seen)
    assert order.count("c") >= 12
    assert "cc" not in order, "they take turns"
    writing.cancel()


async def test_checks_do_not_wait_for_writers_to_end(served: Served) -> None:
    writers = [
        asyncio.ensure_future(served.do("generate", request(n, temperature=0.0, max_tokens=200)))
        for n in range(4)
    ]
    await asyncio.sleep(0.05)
    assert len(await served.do("score", checks(2))) == 2
    for one in writers:
        one.cancel()
    await asyncio.gather(*writers, return_exceptions=True)


async def test_one_bad_check_spares_the_others(served: Served) -> None:
    good, bad, other = await asyncio.gather(
        served.do("score", checks(2)), served.do("score", checks(1, token=999)), served.do("score", checks(3)),
        return_exceptions=True,
    )  # fmt: skip
    assert (len(good), len(other)) == (2, 3)
    assert isinstance(bad, ValueError)


async def test_a_caller_who_leaves_while_its_prompt_is_read_frees_its_place(
    served: Served, tiny: Any
) -> None:
    long = [
        asyncio.ensure_future(served.do("generate", request(n, temperature=0.0, max_tokens=240)))
        for n in (1, 2)
    ]
    await asyncio.sleep(0.05)
    for one in long:
        one.cancel()
    made = await served.do("generate", request(3))
    assert made.token_ids == tiny.generate([request(3)])[0].token_ids
