"""One to eight at once: `ranvier engine` with a light engine, beside llama.cpp's own server, which it puts to use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from figure import Figure
from running import Engine, bare_llama, ours

from ranvier.engines import EngineClient, Generation, Message, Sampling, TextRequest

AT_ONCE = (1, 4, 8)
TOKENS = 48
CHATS = 8
ROUNDS = 2


async def _written(endpoint: str, at_once: int) -> int:
    """Chats that end at their length, so many at once; how many tokens that were."""
    gate = asyncio.Semaphore(at_once)

    async def one(client: EngineClient, number: int) -> Generation:
        asked = Message("user", f"Count from {number * 7} upwards, each number in a sentence of its own.")
        async with gate:
            return await client.generate(TextRequest((asked,), Sampling(TOKENS, 1.0)), deadline=600)

    async with EngineClient(endpoint) as client:
        made = await asyncio.gather(*(one(client, number) for number in range(CHATS)))
    return sum(len(one.token_ids) or len(one.logprobs) for one in made)


def _rate(engine: Engine, at_once: int) -> tuple[int, float]:
    before = engine.cpu
    tokens = asyncio.run(_written(engine.endpoint, at_once))
    return tokens, engine.cpu - before


def figures(gguf: Path, *, quick: bool) -> Sequence[Figure]:
    """Both take turns; a figure is tokens for each second of processor time of all server processes."""
    flags = "--model", "text=smollm2", "--light", f"smollm2={gguf}", "--no-spare"
    made: list[Figure] = []
    with bare_llama(gguf, CHATS) as bare, ours(*flags) as engine:
        for one in (bare, engine):
            _rate(one, CHATS)  # what is done once only
        for at_once in AT_ONCE[-1:] if quick else AT_ONCE:
            total = {bare.endpoint: [0.0, 0.0], engine.endpoint: [0.0, 0.0]}
            for _ in range(1 if quick else ROUNDS):
                for one in (bare, engine):
                    tokens, seconds = _rate(one, at_once)
                    total[one.endpoint][0] += tokens
                    total[one.endpoint][1] += seconds
            rates = {where: tokens / seconds for where, (tokens, seconds) in total.items()}
            theirs, mine = rates[bare.endpoint], rates[engine.endpoint]
            made.append(Figure(f"{at_once} at once: llama.cpp's own server", f"{theirs:.1f} tokens/CPU-s"))
            made.append(
                Figure(
                    f"{at_once} at once: `ranvier engine --light`",
                    f"{mine:.1f} tokens/CPU-s",
                    theirs / mine,
                    most=1.2,
                )
            )
    return made
