"""Rival 1: aiohttp as it comes, JSON both ways; no schema, no signature, no limit. The floor."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp
import driver
import numpy as np
from aiohttp import web
from driver import Ask, pieces_of, text_of

LARGEST = 64 << 20


async def _echo(request: web.Request) -> web.Response:
    return web.json_response({"text": (await request.json())["text"]})


async def _list(request: web.Request) -> web.Response:
    return web.json_response({"values": (await request.json())["values"]})


async def _base64(request: web.Request) -> web.Response:
    values = np.frombuffer(base64.b64decode((await request.json())["values"]), np.float32)
    return web.json_response({"values": base64.b64encode(values.data).decode()})


async def _stream(request: web.Request) -> web.StreamResponse:
    text = (await request.json())["text"]
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    for piece in pieces_of(len(text)):
        await response.write(json.dumps({"piece": piece}).encode() + b"\n")
    await response.write(json.dumps({"text": text}).encode() + b"\n")
    return response


async def serve() -> int:
    """Listen; the port."""
    app = web.Application(client_max_size=LARGEST)
    for kind, handler in (("echo", _echo), ("list", _list), ("base64", _base64), ("stream", _stream)):
        app.router.add_post(f"/{kind}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


class Client(driver.Client):
    """One session for all requests."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def asker(self, kind: str, size: int) -> Ask:
        """What asks once."""
        kinds: dict[str, Callable[[int], Ask]] = {
            "echo": self._text,
            "list": self._numbers,
            "base64": self._encoded,
            "stream": self._pieces,
        }
        return kinds[kind](size)

    def _text(self, size: int) -> Ask:
        text = text_of(size)

        async def ask(port: int) -> None:
            async with self._session.post(f"http://127.0.0.1:{port}/echo", json={"text": text}) as response:
                assert (await response.json())["text"] == text

        return ask

    def _numbers(self, size: int) -> Ask:
        values = np.random.default_rng(1).random(size // 4, np.float32)

        async def ask(port: int) -> None:
            body = {"values": values.tolist()}
            async with self._session.post(f"http://127.0.0.1:{port}/list", json=body) as response:
                back = np.array((await response.json())["values"], np.float32)
            assert np.array_equal(back, values)

        return ask

    def _encoded(self, size: int) -> Ask:
        values = np.random.default_rng(1).random(size // 4, np.float32)

        async def ask(port: int) -> None:
            body = {"values": base64.b64encode(values.data).decode()}
            async with self._session.post(f"http://127.0.0.1:{port}/base64", json=body) as response:
                back = np.frombuffer(base64.b64decode((await response.json())["values"]), np.float32)
            assert np.array_equal(back, values)

        return ask

    def _pieces(self, size: int) -> Ask:
        text = text_of(size)

        async def ask(port: int) -> None:
            async with self._session.post(f"http://127.0.0.1:{port}/stream", json={"text": text}) as response:
                frames = [json.loads(line) async for line in response.content]
            assert "".join(frame.get("piece", "") for frame in frames) == frames[-1]["text"] == text

        return ask
