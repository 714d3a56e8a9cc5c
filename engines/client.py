"""EngineClient: how a neuron reaches an engine, ours or any OpenAI-compatible server, without importing torch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from ranvier.engines.codec import (
    GenerateBody,
    GenerateReply,
    ImagesBody,
    ImagesReply,
    InfoReply,
    RowsReply,
    ScoreBody,
    ScoreReply,
    TextsBody,
    WireImage,
    WireScore,
    WireText,
)
from ranvier.engines.errors import EngineRefused, EngineTimeout, EngineUnfit, EngineUnreachable
from ranvier.engines.models import (
    Generation,
    ImageRequest,
    ModelInfo,
    ScoreRequest,
    TextRequest,
    TokenEvidence,
)

R = TypeVar("R", bound=BaseModel)
DEFAULT_DEADLINE: Final = 120.0


class EngineClient:
    """One engine by its endpoint: ``unix:/path.sock`` or ``http://host:port``; open it with ``async with``.

    Every method raises `EngineError`. An engine that does not know our extensions is used through
    ``/v1/chat/completions`` and declares no features.
    """

    def __init__(self, endpoint: str, *, api_key: str | None = None) -> None:
        self.endpoint = endpoint
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._session: aiohttp.ClientSession | None = None
        self._info: tuple[ModelInfo, ...] | None = None

    async def __aenter__(self) -> Self:
        if self.endpoint.startswith("unix:"):
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(
                self.endpoint.removeprefix("unix:"), limit=0
            )
        elif self.endpoint.startswith(("http://", "https://")):
            connector = aiohttp.TCPConnector(limit=0)
        else:
            raise EngineUnfit(self.endpoint, "an endpoint is unix:/path.sock or http://host:port")
        self._session = aiohttp.ClientSession(
            connector=connector, headers=self._headers, timeout=aiohttp.ClientTimeout(total=None)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def info(self, *, deadline: float = 10.0) -> tuple[ModelInfo, ...]:
        """What is served; asked once."""
        if self._info is None:
            try:
                self._info = InfoReply.model_validate_json(
                    await self._get("/v1/ranvier/info", deadline)
                ).models
            except EngineRefused as refusal:
                if refusal.status not in (404, 405):
                    raise
                self._info = _foreign(await self._get("/v1/models", deadline))
        return self._info

    async def require(self, kind: str, features: Iterable[str] = (), model: str | None = None) -> ModelInfo:
        """The served model of that kind (and name) with those features; raises `EngineUnfit` with the reason."""
        found = [one for one in await self.info() if one.kind == kind and model in (None, one.id)]
        if not found:
            served = ", ".join(f"{one.kind}={one.id}" for one in await self.info()) or "nothing"
            raise EngineUnfit(self.endpoint, f"{kind}={model or 'any'} is needed; it serves {served}")
        missing = sorted(set(features) - set(found[0].features))
        if missing:
            raise EngineUnfit(self.endpoint, f"{found[0].id} does not offer {', '.join(missing)}")
        return found[0]

    async def generate(
        self, request: TextRequest, *, model: str | None = None, deadline: float = DEFAULT_DEADLINE
    ) -> Generation:
        """Continue a chat."""
        if await self._is_foreign():
            return await self._chat(request, model, deadline)
        body = GenerateBody(request=WireText.of(request), model=model)
        return (await self._post("/v1/ranvier/generate", body, GenerateReply, deadline)).generation

    async def stream(
        self, request: TextRequest, *, model: str | None = None, deadline: float = DEFAULT_DEADLINE
    ) -> AsyncIterator[str | Generation]:
        """Pieces of text as they come; the last item is the `Generation`. Needs an engine of ours."""
        body = GenerateBody(request=WireText.of(request), model=model, stream=True)
        try:
            async with (
                asyncio.timeout(deadline),
                self._open.post(
                    self._url("/v1/ranvier/generate"), data=_json(body), headers=_JSON
                ) as response,
            ):
                await self._check(response)
                async for line in response.content:
                    item = json.loads(line)
                    if "error" in item:
                        raise EngineRefused(self.endpoint, 500, str(item["error"]))
                    if "piece" in item:
                        yield item["piece"]
                    else:
                        yield GenerateReply.model_validate(item).generation
        except TimeoutError as error:
            raise EngineTimeout(self.endpoint, deadline) from error
        except (aiohttp.ClientError, OSError) as error:
            raise EngineUnreachable(self.endpoint, str(error)) from error

    async def score(
        self,
        requests: Sequence[ScoreRequest],
        *,
        model: str | None = None,
        deadline: float = DEFAULT_DEADLINE,
    ) -> list[TokenEvidence]:
        """One batched prefill; see `TokenEvidence`."""
        body = ScoreBody(requests=tuple(WireScore.of_score(one) for one in requests), model=model)
        return list((await self._post("/v1/ranvier/score", body, ScoreReply, deadline)).evidence)

    async def images(
        self,
        requests: Sequence[ImageRequest],
        *,
        model: str | None = None,
        deadline: float = DEFAULT_DEADLINE,
    ) -> list[bytes]:
        """One PNG for each request."""
        body = ImagesBody(requests=tuple(WireImage.of(one) for one in requests), model=model)
        return list((await self._post("/v1/ranvier/images", body, ImagesReply, deadline)).images)

    async def image(
        self, request: ImageRequest, *, model: str | None = None, deadline: float = DEFAULT_DEADLINE
    ) -> bytes:
        """One PNG."""
        return (await self.images([request], model=model, deadline=deadline))[0]

    async def classify(
        self, texts: Sequence[str], *, model: str | None = None, deadline: float = DEFAULT_DEADLINE
    ) -> list[tuple[float, ...]]:
        """Class probabilities in the order of the model's labels."""
        body = TextsBody(texts=tuple(texts), model=model)
        return list((await self._post("/v1/ranvier/classify", body, RowsReply, deadline)).rows)

    async def embed(
        self, texts: Sequence[str], *, model: str | None = None, deadline: float = DEFAULT_DEADLINE
    ) -> list[tuple[float, ...]]:
        """Unit vectors."""
        body = TextsBody(texts=tuple(texts), model=model)
        return list((await self._post("/v1/ranvier/embed", body, RowsReply, deadline)).rows)

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("open the client first: `async with EngineClient(endpoint) as engine:`")
        return self._session

    def _url(self, path: str) -> str:
        return (
            f"http://engine{path}" if self.endpoint.startswith("unix:") else self.endpoint.rstrip("/") + path
        )

    async def _is_foreign(self) -> bool:
        return all(not one.digest for one in await self.info())

    async def _chat(self, request: TextRequest, model: str | None, deadline: float) -> Generation:
        """Through the interface that every OpenAI-compatible server has: no token ids, no seeds of ours."""
        sampling = request.sampling
        if sampling.seed is not None:
            raise EngineUnfit(self.endpoint, "it does not offer seeded-gumbel-v1")
        body = {
            "model": model or (await self.info())[0].id,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stop": list(sampling.stop) or None,
        }
        raw = await self._request("POST", "/v1/chat/completions", json.dumps(body).encode(), deadline)
        try:
            reply = json.loads(raw)
            choice = reply["choices"][0]
            text, finish = choice["message"]["content"] or "", choice.get("finish_reason")
            used = int(reply.get("usage", {}).get("prompt_tokens", 0))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise EngineRefused(self.endpoint, 200, f"not a chat completion: {error!r}") from error
        return Generation(text, (), (), used, "length" if finish == "length" else "stop")

    async def _get(self, path: str, deadline: float) -> bytes:
        return await self._request("GET", path, None, deadline)

    async def _post(self, path: str, body: BaseModel, reply: type[R], deadline: float) -> R:
        raw = await self._request("POST", path, _json(body), deadline)
        try:
            return reply.model_validate_json(raw)
        except ValidationError as error:
            raise EngineRefused(
                self.endpoint, 200, f"an unreadable reply: {error.errors()[0]['msg']}"
            ) from error

    async def _request(self, method: str, path: str, body: bytes | None, deadline: float) -> bytes:
        try:
            async with (
                asyncio.timeout(deadline),
                self._open.request(method, self._url(path), data=body, headers=_JSON) as response,
            ):
                await self._check(response)
                return await response.read()
        except TimeoutError as error:
            raise EngineTimeout(self.endpoint, deadline) from error
        except (aiohttp.ClientError, OSError) as error:
            raise EngineUnreachable(self.endpoint, str(error)) from error

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200:
            return
        text = (await response.content.read(4096)).decode(errors="replace")
        try:
            reason = str(json.loads(text)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            reason = text[:200] or response.reason or "no reason given"
        wait = response.headers.get("Retry-After", "")
        retry_after = float(wait) if wait.isdecimal() else None
        raise EngineRefused(self.endpoint, response.status, reason, retry_after)


_JSON: Final = {"Content-Type": "application/json"}


def _json(body: BaseModel) -> bytes:
    return body.model_dump_json().encode()


def _foreign(raw: bytes) -> tuple[ModelInfo, ...]:
    """The models of a server that is not ours: names without digest or features."""
    try:
        listed: list[dict[str, Any]] = json.loads(raw)["data"]
        return tuple(ModelInfo(str(one["id"]), "text", "", "", "") for one in listed)
    except (ValueError, KeyError, TypeError) as error:
        raise EngineRefused("", 200, f"not a list of models: {error!r}") from error
