"""The routes that any OpenAI client knows: models, chat completions, embeddings, images."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ranvier.engines.completions import ChatCompletions
from ranvier.engines.models import ImageRequest, ModelInfo
from ranvier.engines.problems import Problem
from ranvier.engines.serving import Serving


class Lenient(BaseModel):
    """A request of a foreign client: what we do not know is ignored, as OpenAI-shaped servers do."""

    model_config = ConfigDict(frozen=True, extra="ignore")


B = TypeVar("B", bound=Lenient)


class EmbeddingsBody(Lenient):
    """``/v1/embeddings``."""

    model: str | None = None
    input: str | tuple[str, ...]


class ImagesBody(Lenient):
    """``/v1/images/generations``; ``size`` is WIDTHxHEIGHT. Size, steps and guidance are the model's own by default."""

    model: str | None = None
    prompt: str = Field(min_length=1, max_length=2000)
    n: int = Field(default=1, ge=1, le=8)
    size: str | None = Field(default=None, pattern=r"^(\d{1,4}x\d{1,4}|auto)$")
    response_format: Literal["b64_json"] = "b64_json"
    steps: int | None = Field(default=None, ge=1, le=200)
    guidance: float | None = Field(default=None, ge=0, le=50)

    def request(self, info: ModelInfo) -> ImageRequest:
        """One picture, under a seed of its own; raises `Problem` where a foreign model's own figures are not known."""
        own = info.extra
        try:
            size = self.size if self.size not in (None, "auto") else f"{own['width']}x{own['height']}"
            steps = int(str(own["steps"])) if self.steps is None else self.steps
            guidance = float(str(own["guidance"])) if self.guidance is None else self.guidance
        except KeyError as error:
            raise Problem(400, f"{error.args[0]}: {info.id} does not say its own; name one") from error
        width, height = (int(part) for part in size.split("x"))
        return ImageRequest(self.prompt, secrets.token_bytes(32), steps, guidance, width, height)


class OpenAiRoutes:
    """The routes over the served models."""

    def __init__(
        self, find: Callable[[str, str | None], Serving], infos: Callable[[], Sequence[ModelInfo]]
    ) -> None:
        self._find, self._infos = find, infos

    def add_to(self, app: web.Application) -> None:
        """Register them."""
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", ChatCompletions(self._find).answer)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_post("/v1/images/generations", self._images)

    async def _models(self, request: web.Request) -> web.Response:
        data = [{"id": info.id, "object": "model", "owned_by": "ranvier"} for info in self._infos()]
        return web.json_response({"object": "list", "data": data})

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
        served = self._find("image", body.model)
        made: Sequence[bytes] = await served.do("image", [body.request(served.info) for _ in range(body.n)])
        data = [{"b64_json": base64.b64encode(png).decode()} for png in made]
        return web.json_response({"created": int(time.time()), "data": data})


async def _read(request: web.Request, model: type[B]) -> B:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "body"
        raise Problem(400, f"{place}: {fault['msg']}") from error
