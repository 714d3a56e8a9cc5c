"""What is asked of a model in a bench, and what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ranvier.engines.client import EngineClient
from ranvier.engines.models import Generation, ImageRequest, Message, ModelInfo, Sampling, TextRequest

DEADLINE: Final = 600.0
LEAST_SECONDS: Final = 2.0
"""Short requests are asked again and again for so long."""
WORDS: Final = (
    "the",
    "old",
    "keeper",
    "counted",
    "ships",
    "and",
    "wrote",
    "their",
    "names",
    "into",
    "a",
    "heavy",
    "book",
    "by",
    "lamp",
    "light",
)


@dataclass(frozen=True, slots=True)
class Done:
    """``count`` tokens, pictures or texts in ``seconds``; ``first`` as in `ranvier.engines.bench.report.Lap`."""

    count: int
    seconds: float
    first: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of the long prompts, and of the answers to short ones."""

    prompt: int
    answer: int


def prompt(number: int, words: int) -> str:
    """About a token for each word; no two begin alike, for what was read once is not read again."""
    said = " ".join(WORDS[(number + place * (1 + number % 5)) % len(WORDS)] for place in range(words))
    return f"{number} {hashlib.sha256(str(number).encode()).hexdigest()[:6]}. Tell this story on: {said}"


async def read(client: EngineClient, model: str, first: int, size: int, words: int) -> Done:
    """Long prompts at once, each with an answer of one token; the count is that of prompt tokens."""
    began = time.perf_counter()
    made = await asyncio.gather(
        *(
            client.generate(_chat(number, words, 1), model=model, deadline=DEADLINE)
            for number in range(first, first + size)
        )
    )
    return Done(sum(one.prompt_tokens for one in made), time.perf_counter() - began, 0.0)


async def write(client: EngineClient, model: str, first: int, size: int, tokens: int) -> Done:
    """Short prompts at once, with answers of so many tokens."""
    began = time.perf_counter()
    made = await asyncio.gather(
        *(
            _streamed(client, model, _chat(number, len(WORDS), tokens))
            for number in range(first, first + size)
        )
    )
    seconds = time.perf_counter() - began
    return Done(sum(count for count, _ in made), seconds, statistics.median(wait for _, wait in made))


async def ask(client: EngineClient, info: ModelInfo, first: int, size: int) -> Done:
    """Pictures or texts, so many in a request, one request after the other."""
    work = _work(client, info)
    began, times, number = time.perf_counter(), list[float](), first
    while not times or time.perf_counter() - began < LEAST_SECONDS:
        before = time.perf_counter()
        await work(range(number, number + size))
        times.append(time.perf_counter() - before)
        number += size
    return Done(number - first, time.perf_counter() - began, statistics.median(times))


def _work(client: EngineClient, info: ModelInfo) -> Callable[[Sequence[int]], Awaitable[Any]]:
    if info.kind == "image":
        return lambda numbers: client.images(
            [_picture(info, number) for number in numbers], model=info.id, deadline=DEADLINE
        )
    call = client.classify if info.kind == "classify" else client.embed
    return lambda numbers: call([prompt(number, 24) for number in numbers], model=info.id, deadline=DEADLINE)


def _chat(number: int, words: int, tokens: int) -> TextRequest:
    return TextRequest((Message("user", prompt(number, words)),), Sampling(max_tokens=tokens))


def _picture(info: ModelInfo, number: int) -> ImageRequest:
    width, height, steps = (int(str(info.extra[name])) for name in ("width", "height", "steps"))
    seed = hashlib.sha256(str(number).encode()).digest()
    return ImageRequest(
        f"a red apple, number {number}", seed, steps, float(str(info.extra["guidance"])), width, height
    )


async def _streamed(client: EngineClient, model: str, request: TextRequest) -> tuple[int, float]:
    """Tokens of the answer, and how long its first piece took. Servers that tell no ids send a piece for each."""
    began, first, pieces = time.perf_counter(), 0.0, 0
    async for piece in client.stream(request, model=model, deadline=DEADLINE):
        first = first or time.perf_counter() - began
        if isinstance(piece, Generation):
            return len(piece.token_ids) or pieces, first
        pieces += 1
    raise AssertionError("a stream ends with a generation, or raises")
