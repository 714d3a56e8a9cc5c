"""The engine server: OpenAI-shaped routes, and ours for seeds, token ids and scoring."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from ranvier.engines.asker import asking
from ranvier.engines.codec import (
    DecodeBody,
    GenerateBody,
    GenerateReply,
    ImagesBody,
    ImagesReply,
    InfoReply,
    LatentsReply,
    RowsReply,
    ScoreBody,
    ScoreReply,
    StepsBody,
    TextsBody,
    TracesReply,
    WireTrace,
)
from ranvier.engines.errors import EngineError
from ranvier.engines.meter import CONTENT_TYPE
from ranvier.engines.models import ModelInfo
from ranvier.engines.openai import OpenAiRoutes
from ranvier.engines.pieces import Pieces
from ranvier.engines.problems import Problem, problems
from ranvier.engines.serving import Host, Serving
from ranvier.engines.worker import Stopped

B = TypeVar("B", bound=BaseModel)
MAX_BODY: Final = 32 << 20
"""Latents of many pictures are larger than any text."""
STOP_SECONDS: Final = 20.0
"""For requests that run when the engine is told to stop; supervisors have to wait longer."""
_log = logging.getLogger(__name__)


class EngineServer:
    """Serves what a host has at ``unix:/path.sock`` (mode 0600) or ``host:port``."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._runners: list[web.AppRunner] = []

    def find(self, kind: str, name: str | None) -> Serving:
        """The served model; raises `Problem`: 404, or 503 where it may yet come."""
        for one in self._host.serving:
            if one.info.kind == kind and name in (None, one.info.id):
                return one
        listed = ", ".join(f"{one.kind}={one.id}" for one in self._infos()) or "nothing"
        lack = f"{kind}={name or 'any'} is not served here; served: {listed}"
        if self._host.pending:
            raise Problem(503, f"{lack}; {self._host.pending}", retry_after=2)
        raise Problem(404, lack)

    def _infos(self) -> list[ModelInfo]:
        return [one.info for one in self._host.serving]

    def application(self) -> web.Application:
        """The routes, for tests and for embedding."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[problems, small, asking])
        self._watch(app)
        app.router.add_get("/v1/ranvier/info", self._info)
        app.router.add_post("/v1/ranvier/generate", self._generate)
        for path, handler in (("score", self._score), ("images", self._images), ("classify", self._classify)):
            app.router.add_post(f"/v1/ranvier/{path}", handler)
        app.router.add_post("/v1/ranvier/embed", self._embed)
        for path, handler in (("trace", self._trace), ("steps", self._steps), ("decode", self._decode)):
            app.router.add_post(f"/v1/ranvier/{path}", handler)
        OpenAiRoutes(self.find, self._infos).add_to(app)
        return app

    async def start(self, listen: str) -> str:
        """Listen, and return the endpoint for clients. Raises OSError where the address is taken."""
        runner = await self._run(self.application())
        if listen.startswith("unix:"):
            return await _start_unix(runner, Path(listen.removeprefix("unix:")))
        host, _, port = listen.removeprefix("http://").rpartition(":")
        return await _start_tcp(runner, host or "127.0.0.1", int(port))

    async def show(self, host: str, port: int) -> str:
        """Listen for /metrics and /health alone, where the models are behind a socket file. Raises OSError."""
        app = web.Application()
        self._watch(app)
        return await _start_tcp(await self._run(app), host, port)

    async def stop(self) -> None:
        """Close the socket, finish the running batches."""
        for runner in self._runners:
            await runner.cleanup()
        await self._host.stop()

    async def _run(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(
            *(app,),
            access_log=None,
            handler_cancellation=True,
            handle_signals=False,
            shutdown_timeout=STOP_SECONDS,
        )
        await runner.setup()
        self._runners.append(runner)
        return runner

    def _watch(self, app: web.Application) -> None:
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=await self._host.page(), headers={"Content-Type": CONTENT_TYPE})

    async def _health(self, request: web.Request) -> web.Response:
        waiting = {one.info.id: one.waiting for one in self._host.serving}
        workers = [one.model_dump() for one in await self._host.state()]
        return web.json_response(
            {"status": "alive", "waiting": waiting, "pending": self._host.pending, "workers": workers}
        )

    async def _info(self, request: web.Request) -> web.Response:
        return _reply(InfoReply(models=tuple(self._infos()), workers=tuple(await self._host.state())))

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request, GenerateBody)
        served = self.find("text", body.model)
        if not body.stream:
            return _reply(GenerateReply(generation=await served.do("generate", body.request.value())))
        return await _stream(
            request,
            lambda on_piece: served.do("generate", body.request.value(), on_piece),
            lambda made: GenerateReply(generation=made),
            lambda piece: {"piece": piece},
        )

    async def _score(self, request: web.Request) -> web.Response:
        body = await _body(request, ScoreBody)
        items = [one.value() for one in body.requests]
        return _reply(ScoreReply(evidence=await self.find("text", body.model).do("score", items)))

    async def _images(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request, ImagesBody)
        items = [one.value() for one in body.requests]
        served = self.find("image", body.model)
        if not body.stream:
            return _reply(ImagesReply(images=await served.do("image", items)))
        return await _stream(
            request,
            lambda on_step: served.do("image", items, on_step),
            lambda made: ImagesReply(images=made),
            lambda step: {"step": int(step)},
        )

    async def _trace(self, request: web.Request) -> web.Response:
        body = await _body(request, ImagesBody)
        items = [one.value() for one in body.requests]
        made = await self.find("image", body.model).do("trace", items)
        return _reply(TracesReply(traces=tuple(WireTrace.of(one) for one in made)))

    async def _steps(self, request: web.Request) -> web.Response:
        body = await _body(request, StepsBody)
        items = [one.value() for one in body.requests]
        return _reply(LatentsReply(latents=await self.find("image", body.model).do("steps", items)))

    async def _decode(self, request: web.Request) -> web.Response:
        body = await _body(request, DecodeBody)
        items = [one.value() for one in body.requests]
        return _reply(ImagesReply(images=await self.find("image", body.model).do("decode", items)))

    async def _classify(self, request: web.Request) -> web.Response:
        return await self._rows(request, "classify")

    async def _embed(self, request: web.Request) -> web.Response:
        return await self._rows(request, "embed")

    async def _rows(self, request: web.Request, kind: str) -> web.Response:
        body = await _body(request, TextsBody)
        return _reply(RowsReply(rows=await self.find(kind, body.model).do(kind, list(body.texts))))


async def serve(
    host: Host,
    listen: str,
    *,
    ready: Callable[[str], None] | None = None,
    metrics: tuple[str, int] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until ``stop``, by default SIGTERM or SIGINT; ``metrics`` is a host and port for /metrics and /health."""
    stop = stop or told_to_stop()
    server = EngineServer(host)
    try:
        endpoint = await server.start(listen)
        if metrics is not None:
            await server.show(*metrics)
        if ready is not None:
            ready(endpoint)
        await stop.wait()
    finally:
        await server.stop()


@web.middleware
async def small(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse a body that says it is too large before any of it is read; one that does not say is cut off there."""
    if (request.content_length or 0) > MAX_BODY:
        raise Problem(413, f"a body may have {MAX_BODY} bytes")
    return await handler(request)


def told_to_stop() -> asyncio.Event:
    """Set by SIGTERM and SIGINT from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _body(request: web.Request, model: type[B]) -> B:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "body"
        raise Problem(400, f"{place}: {fault['msg']}") from error


def _reply(body: BaseModel) -> web.Response:
    return web.Response(body=body.model_dump_json().encode(), content_type="application/json")


async def _stream(
    request: web.Request,
    work: Callable[[Callable[[str], None]], Awaitable[Any]],
    last: Callable[[Any], BaseModel],
    line: Callable[[str], dict[str, Any]],
) -> web.StreamResponse:
    """Lines of JSON: one for each piece, then what was made, or an error as the last line."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    async with Pieces(work) as pieces:
        await response.prepare(request)
        async for piece in pieces:
            await response.write(json.dumps(line(piece)).encode() + b"\n")
        try:
            end = last(await pieces.end()).model_dump_json()
        except (EngineError, ValueError, RuntimeError, Stopped) as error:  # a model's own are RuntimeErrors
            end = json.dumps({"error": str(error)})
        await response.write(end.encode() + b"\n")
        await response.write_eof()
    return response


async def _start_tcp(runner: web.AppRunner, host: str, port: int) -> str:
    await web.TCPSite(runner, host, port).start()
    bound = runner.addresses[0]
    return f"http://{bound[0]}:{bound[1]}"


async def _start_unix(runner: web.AppRunner, path: Path) -> str:
    """A socket that only its owner may open, from the first moment."""
    _clear(path)
    mask = os.umask(0o177)
    try:
        await web.UnixSite(runner, str(path)).start()
    finally:
        os.umask(mask)
    return f"unix:{path}"


def _clear(path: Path) -> None:
    """Make the folder, remove the socket of an engine that is gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_socket() and not _answers(path):
        path.unlink()


def _answers(path: Path) -> bool:
    """Whether somebody listens on a socket file."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
