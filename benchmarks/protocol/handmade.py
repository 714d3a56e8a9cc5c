"""Rival 2 in this benchmark: what the prototype serves and asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

import aiohttp
import driver
import numpy as np
from aiohttp import web
from bittensor_core import Keypair
from driver import Ask, pieces_of, text_of
from prototype import Miner, Validator
from pydantic import Base64Bytes, BaseModel

MINER = Keypair.create_from_uri("//Bob")


class Echo(BaseModel):
    """A text, both ways."""

    text: str


class Numbers(BaseModel):
    """An array of float32, both ways."""

    values: Base64Bytes


class Chat(Echo):
    """A text that comes back in pieces."""


async def _echo(request: Echo) -> Echo:
    return Echo(text=request.text)


async def _numbers(request: Numbers) -> Numbers:
    return Numbers.model_construct(values=np.frombuffer(request.values, np.float32).tobytes())


async def _chat(request: Chat) -> AsyncIterator[str]:
    for piece in pieces_of(len(request.text)):
        yield piece


async def serve() -> int:
    """Listen; the port."""
    miner = Miner(MINER)
    miner.serve(Echo, _echo)
    miner.serve(Numbers, _numbers)
    miner.stream(Chat, _chat)
    runner = web.AppRunner(miner.app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


class Client(driver.Client):
    """One session for all requests."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._validator = Validator(Keypair.create_from_uri("//Alice"), self._session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def asker(self, kind: str, size: int) -> Ask:
        """What asks once."""
        kinds: dict[str, Callable[[int], Ask]] = {
            "echo": self._text,
            "base64": self._values,
            "stream": self._pieces,
        }
        return kinds[kind](size)

    def _text(self, size: int) -> Ask:
        text = text_of(size)

        async def ask(port: int) -> None:
            reply = await self._validator.ask(port, MINER.ss58_address, Echo(text=text), Echo)
            assert reply.text == text

        return ask

    def _values(self, size: int) -> Ask:
        values = np.random.default_rng(1).random(size // 4, np.float32)

        async def ask(port: int) -> None:
            request = Numbers.model_construct(values=values.tobytes())
            reply = await self._validator.ask(port, MINER.ss58_address, request, Numbers)
            assert np.array_equal(np.frombuffer(reply.values, np.float32), values)

        return ask

    def _pieces(self, size: int) -> Ask:
        text = text_of(size)

        async def ask(port: int) -> None:
            pieces = [
                piece async for piece in self._validator.stream(port, MINER.ss58_address, Chat(text=text))
            ]
            assert "".join(pieces) == text

        return ask
