"""Ranvier's axon and dendrite in this benchmark, and the 10.x wire from either side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, ClassVar, Self

import driver
import numpy as np
from driver import Ask, pieces_of, text_of
from pydantic import Field

from ranvier.protocol import (
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Dendrite,
    Door,
    Limits,
    Reply,
    Synapse,
    Target,
    Tensor,
    keypair_from_uri,
)

DEADLINE = 30.0
MINER = keypair_from_uri("//Bob")
LIMITS = Limits(rate=1e9, burst=10**9, max_body=8 << 20, max_concurrent=64, max_per_caller=128)
"""One caller is the whole load: what a public axon would refuse is let in. All limits are enforced nevertheless."""


class Echo(Synapse):
    """A text, both ways."""

    required_hash_fields: ClassVar[tuple[str, ...]] = ("text",)
    max_reply: ClassVar[int] = 8 << 20
    text: str

    class Reply(Reply):
        """The same."""

        answer: str


class Numbers(Synapse):
    """An array of float32, both ways."""

    required_hash_fields: ClassVar[tuple[str, ...]] = ("values",)
    max_reply: ClassVar[int] = 8 << 20
    values: Tensor

    class Reply(Reply):
        """The same."""

        result: Tensor


class Chat(Synapse):
    """A text that comes back in pieces."""

    required_hash_fields: ClassVar[tuple[str, ...]] = ("text",)
    text: str
    count: int = Field(default=64, ge=1)

    class Reply(Reply):
        """The whole text."""

        completion: str


async def _echo(request: Echo, caller: Caller) -> Echo.Reply:
    return Echo.Reply(answer=request.text)


async def _numbers(request: Numbers, caller: Caller) -> Numbers.Reply:
    return Numbers.Reply(result=Tensor.of(request.values.array))


async def _chat(request: Chat, caller: Caller) -> AsyncIterator[Any]:
    for piece in pieces_of(len(request.text), request.count):
        yield piece
    yield Chat.Reply(completion=request.text)


async def serve() -> int:
    """Listen; the port."""
    axon = Axon(MINER, door=Door.open(), limits=LIMITS, legacy=True)
    axon.serve(Echo, _echo).serve(Numbers, _numbers).serve(Chat, _chat)
    await axon.start()
    return axon.port


class Client(driver.Client):
    """One dendrite in clear and one that seals."""

    async def __aenter__(self) -> Self:
        self._opened = AsyncExitStack()
        self._clear, self._sealing = _dendrite(seal=False), _dendrite(seal=True)
        for dendrite in (self._clear, self._sealing):
            await self._opened.enter_async_context(dendrite)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    def asker(self, kind: str, size: int) -> Ask:
        """What asks once."""
        kinds: dict[str, Callable[[int], Ask]] = {
            "echo": lambda size: self._text(size, self._clear.ask),
            "sealed": lambda size: self._text(size, self._sealing.ask),
            "legacy": lambda size: self._text(size, self._clear.ask_legacy),
            "frame": self._values,
            "stream": self._pieces,
        }
        return kinds[kind](size)

    def _text(self, size: int, send: Callable[..., Any]) -> Ask:
        text = text_of(size)

        async def ask(port: int) -> None:
            outcome = await send(_target(port), Echo(text=text), deadline=DEADLINE)
            assert isinstance(outcome, Answered), outcome
            assert outcome.reply.answer == text

        return ask

    def _values(self, size: int) -> Ask:
        values = np.random.default_rng(1).random(size // 4, np.float32)

        async def ask(port: int) -> None:
            request = Numbers(values=Tensor.of(values))
            outcome = await self._clear.ask(_target(port), request, deadline=DEADLINE)
            assert isinstance(outcome, Answered), outcome
            assert np.array_equal(outcome.reply.result.array, values)

        return ask

    def _pieces(self, size: int) -> Ask:
        text = text_of(size)

        async def ask(port: int) -> None:
            pieces: list[str] = []
            async for item in self._clear.stream(_target(port), Chat(text=text), deadline=DEADLINE):
                if isinstance(item, str):
                    pieces.append(item)
                else:
                    assert isinstance(item, Answered), item
                    assert "".join(pieces) == text == item.reply.completion

        return ask


def _dendrite(*, seal: bool) -> Dendrite:
    return Dendrite(keypair_from_uri("//Alice"), limits=LIMITS, addresses=AddressPolicy.local(), seal=seal)


def _target(port: int) -> Target:
    return Target(MINER.ss58_address, "127.0.0.1", port)
