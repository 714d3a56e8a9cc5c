"""EngineClient: how a neuron reaches an engine, ours or any OpenAI-compatible server, without importing torch."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from ranvier.engines.asker import HEADER
from ranvier.engines.chat import VLLM, Answer, asked, completion, listed
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
    WireDecode,
    WireImage,
    WireScore,
    WireStep,
    WireText,
)
from ranvier.engines.errors import EngineRefused, EngineTimeout, EngineUnfit, EngineUnreachable
from ranvier.engines.models import (
    SEEDED_GUMBEL,
    DecodeRequest,
    Generation,
    ImageRequest,
    ModelInfo,
    ScoreRequest,
    StepRequest,
    TextRequest,
    TokenEvidence,
    Trace,
)
from ranvier.engines.states import WorkerState

R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")
DEFAULT_DEADLINE: Final = 120.0
MOST: Final = 256 << 20
"""Bytes of an answer, unpacked: 64 large pictures. What is longer is not read to its end."""
MOST_SAID: Final = 32 << 20
"""Bytes of a list of models, a page of metrics, or one text with all that is told of its tokens."""
IDLE: Final = 3.0
"""Seconds that a connection is kept: less than servers do (vLLM, llama.cpp: 5), so that none is used as it closes."""
LONGEST_RETRY: Final = 600.0
"""Seconds; what a server asks for beyond is not believed."""


class EngineClient:
    """One engine by its endpoint: ``unix:/path.sock`` or ``http://host:port``; open it with ``async with``.

    Every method raises `EngineError`. An engine that does not know our extensions is used through
    ``/v1/chat/completions``: ``seeded`` says that it is a vLLM with our plugin, so that seeds are sent along,
    ``logprobs`` whether it is asked for them, ``only`` which of its models is looked for among many.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        api_key: str | None = None,
        seeded: bool = False,
        logprobs: bool = True,
        only: str = "",
    ) -> None:
        self.endpoint, self._seeded, self._logprobs, self._only = endpoint, seeded, logprobs, only
        self._foreign = self._tells_ids = False
        self._headers = {HEADER: uuid.uuid4().hex}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._session: aiohttp.ClientSession | None = None
        self._info: tuple[ModelInfo, ...] | None = None

    async def __aenter__(self) -> Self:
        if self.endpoint.startswith("unix:"):
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(
                self.endpoint.removeprefix("unix:"), limit=0, keepalive_timeout=IDLE
            )
        elif self.endpoint.startswith(("http://", "https://")):
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE)
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

    async def info(self, *, fresh: bool = False, deadline: float = 10.0) -> tuple[ModelInfo, ...]:
        """What is served; asked once, or again where it is to be ``fresh``."""
        if self._info is None or fresh:
            try:
                raw = await self._get("/v1/ranvier/info", deadline)
                foreign, found = False, InfoReply.model_validate_json(raw).models
            except EngineRefused as refusal:
                if refusal.status not in (404, 405):
                    raise
                foreign, found = True, await self._listed(deadline)
            except ValidationError as error:
                raise self._unreadable(error) from error
            self._foreign, self._info = foreign, found
            self._tells_ids = foreign and any(one.extra.get("server") == VLLM for one in found)
        return self._info

    async def alive(self, *, deadline: float = 5.0) -> None:
        """Ask for anything; raises `EngineError` where nothing answers."""
        await self._get("/v1/models", deadline)

    async def state(self, *, deadline: float = 5.0) -> tuple[WorkerState, ...]:
        """The processes that serve there, with their devices and memory; an engine of ours tells it."""
        try:
            raw = await self._get("/v1/ranvier/info", deadline)
            return InfoReply.model_validate_json(raw).workers
        except ValidationError as error:
            raise EngineRefused(self.endpoint, 200, "an unreadable reply") from error

    async def metrics(self, *, deadline: float = 5.0) -> bytes:
        """Its page, in Prometheus' text format."""
        return await self._get("/metrics", deadline)

    async def _listed(self, deadline: float) -> tuple[ModelInfo, ...]:
        offers = {"stream": True, "logprobs": self._logprobs, SEEDED_GUMBEL: self._seeded}
        features = tuple(name for name, offered in offers.items() if offered)
        try:
            return listed(await self._get("/v1/models", deadline), features, self._only)
        except ValueError as error:
            raise EngineRefused(self.endpoint, 200, str(error)) from error

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
            path, asked_for = await self._chat(request, model, stream=False)
            try:
                said = await self._request("POST", path, asked_for, deadline, MOST_SAID)
                return completion(said, request.sampling.alternatives)
            except ValueError as error:
                raise EngineRefused(self.endpoint, 200, str(error)[:300]) from error
        body = GenerateBody(request=WireText.of(request), model=model)
        return (await self._post("/v1/ranvier/generate", body, GenerateReply, deadline, MOST_SAID)).generation

    async def stream(
        self, request: TextRequest, *, model: str | None = None, deadline: float = DEFAULT_DEADLINE
    ) -> AsyncGenerator[str | Generation, None]:
        """Pieces of text as they come; the last item is the `Generation`."""
        if await self._is_foreign():
            path, body = await self._chat(request, model, stream=True)
            read = partial(_events, Answer(request.sampling.alternatives))
        else:
            path, read = "/v1/ranvier/generate", partial(_lines)
            body = _json(GenerateBody(request=WireText.of(request), model=model, stream=True))
        async with aclosing(self._streamed(path, body, read, deadline)) as items:
            async for item in items:
                yield item

    async def _streamed(
        self,
        path: str,
        body: bytes,
        read: Callable[[AsyncIterator[bytes]], AsyncIterator[T]],
        deadline: float,
    ) -> AsyncGenerator[T, None]:
        try:
            async with (
                asyncio.timeout(deadline),
                self._open.post(self._url(path), data=body, headers=_JSON, allow_redirects=False) as response,
            ):
                await self._check(response)
                async for item in read(_split(response.content)):
                    yield item
        except TimeoutError as error:
            raise EngineTimeout(self.endpoint, deadline) from error
        except (aiohttp.ClientError, OSError) as error:
            raise EngineUnreachable(self.endpoint, str(error)) from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise EngineRefused(self.endpoint, 200, f"an unreadable stream: {error}"[:300]) from error

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

    async def drawings(
        self,
        requests: Sequence[ImageRequest],
        *,
        model: str | None = None,
        deadline: float = DEFAULT_DEADLINE,
    ) -> AsyncGenerator[int | list[bytes], None]:
        """The number of every step as it is done, from 1 in each batch; the last item are the PNGs.

        Whoever leaves before ends the drawing.
        """
        wired = tuple(WireImage.of(one) for one in requests)
        body = _json(ImagesBody(requests=wired, model=model, stream=True))
        async with aclosing(self._streamed("/v1/ranvier/images", body, _steps, deadline)) as items:
            async for item in items:
                yield item

    async def image(
        self, request: ImageRequest, *, model: str | None = None, deadline: float = DEFAULT_DEADLINE
    ) -> bytes:
        """One PNG."""
        return (await self.images([request], model=model, deadline=deadline))[0]

    async def traces(
        self,
        requests: Sequence[ImageRequest],
        *,
        model: str | None = None,
        deadline: float = DEFAULT_DEADLINE,
    ) -> list[Trace]:
        """One picture for each request, with the latents of every step; needs ``latent-steps-v1``."""
        body = ImagesBody(requests=tuple(WireImage.of(one) for one in requests), model=model)
        made = await self._post("/v1/ranvier/trace", body, TracesReply, deadline)
        return [one.value() for one in made.traces]

    async def steps(
        self,
        requests: Sequence[StepRequest],
        *,
        model: str | None = None,
        deadline: float = DEFAULT_DEADLINE,
    ) -> list[bytes]:
        """The latents after one step each; needs ``latent-steps-v1``."""
        body = StepsBody(requests=tuple(WireStep.of(one) for one in requests), model=model)
        return list((await self._post("/v1/ranvier/steps", body, LatentsReply, deadline)).latents)

    async def decode(
        self,
        requests: Sequence[DecodeRequest],
        *,
        model: str | None = None,
        deadline: float = DEFAULT_DEADLINE,
    ) -> list[bytes]:
        """The PNG of final latents; needs ``latent-steps-v1``."""
        body = DecodeBody(requests=tuple(WireDecode.of(one) for one in requests), model=model)
        return list((await self._post("/v1/ranvier/decode", body, ImagesReply, deadline)).images)

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
        await self.info()
        return self._foreign

    async def _chat(self, request: TextRequest, model: str | None, *, stream: bool) -> tuple[str, bytes]:
        """Path and body for the interface that every OpenAI-compatible server has."""
        if request.sampling.seed is not None and not self._seeded:
            raise EngineUnfit(self.endpoint, "it does not offer seeded-gumbel-v1")
        infos = await self.info()
        if not (model or infos):
            raise EngineUnfit(self.endpoint, "it serves no model")
        how = {"stream": stream, "logprobs": self._logprobs, "token_ids": self._tells_ids}
        try:
            return "/v1/chat/completions", asked(request, model or infos[0].id, **how)
        except ValueError as error:
            raise EngineUnfit(self.endpoint, str(error)) from error

    async def _get(self, path: str, deadline: float) -> bytes:
        return await self._request("GET", path, None, deadline, MOST_SAID)

    async def _post(self, path: str, body: BaseModel, reply: type[R], deadline: float, most: int = MOST) -> R:
        raw = await self._request("POST", path, _json(body), deadline, most)
        try:
            return reply.model_validate_json(raw)
        except ValidationError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: ValidationError) -> EngineRefused:
        return EngineRefused(self.endpoint, 200, f"an unreadable reply: {error.errors()[0]['msg']}")

    async def _request(self, method: str, path: str, body: bytes | None, deadline: float, most: int) -> bytes:
        """The body of an answer. A redirection is none: it would carry the key elsewhere."""
        ask = self._open.request(method, self._url(path), data=body, headers=_JSON, allow_redirects=False)
        try:
            async with asyncio.timeout(deadline), ask as response:
                await self._check(response)
                return b"".join([part async for part in _capped(response.content, most)])
        except TimeoutError as error:
            raise EngineTimeout(self.endpoint, deadline) from error
        except (aiohttp.ClientError, OSError) as error:
            raise EngineUnreachable(self.endpoint, str(error) or type(error).__name__) from error
        except ValueError as error:
            raise EngineRefused(self.endpoint, 200, str(error)) from error

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200:
            return
        text = (await response.content.read(4096)).decode(errors="replace")
        try:
            reason = str(json.loads(text)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            reason = text[:200] or response.reason or "no reason given"
        wait = _seconds(response.headers.get("Retry-After", ""))
        raise EngineRefused(self.endpoint, response.status, reason[:300], wait)


_JSON: Final = {"Content-Type": "application/json"}


def _json(body: BaseModel) -> bytes:
    return body.model_dump_json().encode()


def _seconds(wait: str) -> float | None:
    """What a Retry-After says, in seconds or as a date; None for what it does not say."""
    with suppress(ValueError):
        number = float(wait)
        return min(number, LONGEST_RETRY) if number >= 0 else None
    with suppress(ValueError):
        left = email.utils.parsedate_to_datetime(wait).timestamp() - time.time()
        return min(max(left, 0.0), LONGEST_RETRY)
    return None


async def _capped(content: aiohttp.StreamReader, most: int) -> AsyncIterator[bytes]:
    """What comes, as it comes. Raises ValueError where that is too much."""
    size = 0
    async for part in content.iter_any():
        size += len(part)
        if size > most:
            raise ValueError(f"an answer of more than {most >> 20} MiB")
        yield part


async def _split(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines: the last of a long text holds all its tokens, more than aiohttp takes for a line."""
    rest = b""
    async for part in _capped(content, MOST_SAID):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest


async def _lines(lines: AsyncIterator[bytes]) -> AsyncIterator[str | Generation]:
    """A stream of ours: pieces, then the generation. Raises ValueError for what breaks off or names an error."""
    async for line in lines:
        item: dict[str, Any] = json.loads(line)
        if "error" in item:
            raise ValueError(str(item["error"]))
        piece = item.get("piece")
        if not isinstance(piece, str):
            yield GenerateReply.model_validate(item).generation
            return
        yield piece
    raise ValueError("the stream broke off")


async def _steps(lines: AsyncIterator[bytes]) -> AsyncIterator[int | list[bytes]]:
    """A stream of pictures: numbers of steps, then the PNGs. Raises ValueError as `_lines` does."""
    async for line in lines:
        item = json.loads(line)
        if "error" in item:
            raise ValueError(str(item["error"]))
        yield int(item["step"]) if "step" in item else list(ImagesReply.model_validate(item).images)


async def _events(answer: Answer, lines: AsyncIterator[bytes]) -> AsyncIterator[str | Generation]:
    """A stream of server-sent events, in the same form."""
    async for line in lines:
        if piece := answer.event(line):
            yield piece
    yield answer.generation()
