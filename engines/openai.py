"""The routes that any OpenAI client knows: models, chat completions, embeddings, images."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ranvier.engines.errors import EngineError
from ranvier.engines.models import Generation, ImageRequest, Message, ModelInfo, Sampling, TextRequest
from ranvier.engines.pieces import Pieces
from ranvier.engines.problems import Problem
from ranvier.engines.serving import Serving


class Lenient(BaseModel):
    """A request of a foreign client: what we do not know is ignored, as OpenAI-shaped servers do."""

    model_config = ConfigDict(frozen=True, extra="ignore")


B = TypeVar("B", bound=Lenient)


class ChatBody(Lenient):
    """``/v1/chat/completions``. An integer ``seed`` selects seeded-gumbel-v1 with its SHA-256."""

    model: str | None = None
    messages: tuple[Message, ...] = Field(min_length=1, max_length=64)
    max_tokens: int = Field(default=256, ge=1, le=8192)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    stream: bool = False

    def request(self) -> TextRequest:
        """As the models take it."""
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        seed = None if self.seed is None else hashlib.sha256(str(self.seed).encode()).digest()
        return TextRequest(
            self.messages, Sampling(self.max_tokens, self.temperature, self.top_p, tuple(stop), seed)
        )


class EmbeddingsBody(Lenient):
    """``/v1/embeddings``."""

    model: str | None = None
    input: str | tuple[str, ...]


class ImagesBody(Lenient):
    """``/v1/images/generations``; ``size`` is WIDTHxHEIGHT."""

    model: str | None = None
    prompt: str = Field(min_length=1, max_length=2000)
    n: int = Field(default=1, ge=1, le=8)
    size: str = Field(default="32x32", pattern=r"^\d{1,4}x\d{1,4}$")
    response_format: Literal["b64_json"] = "b64_json"
    steps: int = Field(default=12, ge=1, le=200)
    guidance: float = Field(default=3.0, ge=0, le=50)


class OpenAiRoutes:
    """The routes over the served models."""

    def __init__(
        self, find: Callable[[str, str | None], Serving], infos: Callable[[], Sequence[ModelInfo]]
    ) -> None:
        self._find, self._infos = find, infos

    def add_to(self, app: web.Application) -> None:
        """Register them."""
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_post("/v1/images/generations", self._images)

    async def _models(self, request: web.Request) -> web.Response:
        data = [{"id": info.id, "object": "model", "owned_by": "ranvier"} for info in self._infos()]
        return web.json_response({"object": "list", "data": data})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request, ChatBody)
        served = self._find("text", body.model)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": served.info.id}
        if body.stream:
            return await self._stream(request, served, body, head)
        made: Generation = await served.do("generate", body.request())
        message = {"role": "assistant", "content": made.text}
        choice = {"index": 0, "message": message, "finish_reason": made.finish_reason}
        used = {
            "prompt_tokens": made.prompt_tokens,
            "completion_tokens": len(made.token_ids),
            "total_tokens": made.prompt_tokens + len(made.token_ids),
        }
        return web.json_response({**head, "object": "chat.completion", "choices": [choice], "usage": used})

    async def _stream(
        self, request: web.Request, served: Serving, body: ChatBody, head: dict[str, Any]
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )

        async def send(delta: dict[str, Any], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            await event({**head, "object": "chat.completion.chunk", "choices": [choice]})

        async def event(data: dict[str, Any]) -> None:
            await response.write(b"data: " + json.dumps(data).encode() + b"\n\n")

        async with Pieces(lambda on_piece: served.do("generate", body.request(), on_piece)) as pieces:
            await response.prepare(request)
            await send({"role": "assistant", "content": ""})
            async for piece in pieces:
                await send({"content": piece})
            try:
                await send({}, (await pieces.end()).finish_reason)
                await response.write(b"data: [DONE]\n\n")
            except (EngineError, ValueError) as error:
                await event({"error": {"message": str(error)[:300], "type": "server_error"}})
            await response.write_eof()
        return response

    async def _embeddings(self, request: web.Request) -> web.Response:
        body = await _read(request, EmbeddingsBody)
        served = self._find("embed", body.model)
        texts = [body.input] if isinstance(body.input, str) else list(body.input)
        vectors = await served.do("embed", texts)
        data = [
            {"object": "embedding", "index": number, "embedding": list(vector)}
            for number, vector in enumerate(vectors)
        ]
        return web.json_response({"object": "list", "model": served.info.id, "data": data})

    async def _images(self, request: web.Request) -> web.Response:
        body = await _read(request, ImagesBody)
        width, height = (int(part) for part in body.size.split("x"))
        asked = [_picture(body, width, height) for _ in range(body.n)]
        made: Sequence[bytes] = await self._find("image", body.model).do("image", asked)
        data = [{"b64_json": base64.b64encode(png).decode()} for png in made]
        return web.json_response({"created": int(time.time()), "data": data})


def _picture(body: ImagesBody, width: int, height: int) -> ImageRequest:
    seed = hashlib.sha256(uuid.uuid4().bytes).digest()
    return ImageRequest(body.prompt, seed, body.steps, body.guidance, width, height)


async def _read(request: web.Request, model: type[B]) -> B:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "body"
        raise Problem(400, f"{place}: {fault['msg']}") from error
