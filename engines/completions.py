"""``/v1/chat/completions``: what an OpenAI client may ask of a text model, and what it gets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ranvier.engines.codec import Stop
from ranvier.engines.errors import EngineError
from ranvier.engines.models import Alternative, Generation, Message, Sampling, TextRequest
from ranvier.engines.pieces import Pieces
from ranvier.engines.problems import Problem
from ranvier.engines.serving import Serving

IGNORED: Final = frozenset({
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "parallel_tool_calls",
    "verbosity",
})  # fmt: skip
"""Keys that change nothing of an answer here."""
NEUTRAL: Final = {"response_format": {"type": "text"}, "modalities": ["text"], "tool_choice": "none"}
"""Keys that ask for nothing with these values; with others they ask for what this engine does not have."""


class Part(BaseModel):
    """A piece of a turn; this engine reads text only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text"]
    text: str


class Turn(BaseModel):
    """One turn of a chat; ``developer`` is the newer name of ``system``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[Part, ...]

    def value(self) -> Message:
        """As the models take it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message("system" if self.role == "developer" else self.role, text)


class StreamOptions(BaseModel):
    """What a stream ends with."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    include_usage: bool = False


class ChatBody(BaseModel):
    """A request. An integer ``seed`` selects seeded-gumbel-v1 with the SHA-256 of its digits.

    The choice of number k after the first has that of ``seed/k``. What this engine cannot do
    is refused, never left out silently.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    messages: tuple[Turn, ...] = Field(min_length=1, max_length=64)
    max_tokens: int = Field(default=256, ge=1, le=8192)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0, le=1)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    repetition_penalty: float = Field(default=1.0, gt=0, le=10)
    stop: Stop | Annotated[tuple[Stop, ...], Field(max_length=16)] = ()
    seed: int | None = None
    n: int = Field(default=1, ge=1, le=8)
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=20)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    return_token_ids: bool = False
    """As vLLM has it: ``token_ids`` in each choice."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, body: Any) -> Any:
        """Null is "not said"; what does nothing is dropped; what is not known and would do something is refused."""
        if not isinstance(body, dict):
            return body
        said = {key: value for key, value in body.items() if value is not None and key not in IGNORED}
        if "max_completion_tokens" in said:  # the newer name
            said["max_tokens"] = said.pop("max_completion_tokens")
        if said.get("top_k") == -1:  # how vLLM writes "all"
            del said["top_k"]
        known = cls.model_fields
        return {key: value for key, value in said.items() if key in known or not _idle(key, value)}

    @model_validator(mode="after")
    def _likely(self) -> ChatBody:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        return self

    def requests(self) -> list[TextRequest]:
        """One for each choice, as the models take it."""
        turns = tuple(one.value() for one in self.messages)
        return [TextRequest(turns, self._sampling(number)) for number in range(self.n)]

    def _sampling(self, number: int) -> Sampling:
        said = str(self.seed) if number == 0 else f"{self.seed}/{number}"
        return Sampling(
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            stop=(self.stop,) if isinstance(self.stop, str) else self.stop,
            seed=None if self.seed is None else hashlib.sha256(said.encode()).digest(),
            top_k=self.top_k,
            min_p=self.min_p,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repetition_penalty=self.repetition_penalty,
            alternatives=self.top_logprobs if self.logprobs else None,
        )


def _idle(key: str, value: Any) -> bool:
    return value in ({}, [], False) or NEUTRAL.get(key) == value


class ChatCompletions:
    """The route."""

    def __init__(self, find: Callable[[str, str | None], Serving]) -> None:
        self._find = find

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Carry out one request, whole or as a stream of events."""
        body = await _read(request)
        served = self._find("text", body.model)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": served.info.id}
        if body.stream:
            return await _Stream(request, served, body, head).run()
        asked = [asyncio.ensure_future(served.do("generate", one)) for one in body.requests()]
        try:
            made: list[Generation] = await asyncio.gather(*asked)
        finally:
            for one in asked:  # where one is refused, nobody waits for the others
                one.cancel()
        choices = [
            {"index": number, "message": {"role": "assistant", "content": one.text}, **_end(one, body)}
            for number, one in enumerate(made)
        ]
        return web.json_response(
            {**head, "object": "chat.completion", "choices": choices, "usage": _usage(made)}
        )


class _Stream:
    """Events of one request; several choices come as they are written, each chunk with its index.

    Log-probabilities come with the chunk that ends a choice, all of them.
    """

    def __init__(self, request: web.Request, served: Serving, body: ChatBody, head: dict[str, Any]) -> None:
        self._request, self._served, self._body = request, served, body
        self._head = {**head, "object": "chat.completion.chunk"}
        self._response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )

    async def run(self) -> web.StreamResponse:
        """Raises what a choice raised before anything was said."""
        pieces = [self._pieces(one) for one in self._body.requests()]
        try:
            for one in pieces:
                one.begin()
            for one in pieces:
                await one.first()
            await self._response.prepare(self._request)
            made = await asyncio.gather(*(self._choice(number, one) for number, one in enumerate(pieces)))
            if self._body.stream_options.include_usage and None not in made:
                await self._event({"choices": [], "usage": _usage([one for one in made if one])})
            if None not in made:
                await self._response.write(b"data: [DONE]\n\n")
        finally:
            for one in pieces:
                await one.leave()
        await self._response.write_eof()
        return self._response

    def _pieces(self, asked: TextRequest) -> Pieces:
        return Pieces(lambda on_piece: self._served.do("generate", asked, on_piece))

    async def _choice(self, number: int, pieces: Pieces) -> Generation | None:
        await self._chunk(number, {"role": "assistant", "content": ""}, {"finish_reason": None})
        async for piece in pieces:
            await self._chunk(number, {"content": piece}, {"finish_reason": None})
        try:
            made: Generation = await pieces.end()
        except (EngineError, ValueError) as error:
            await self._event({"error": {"message": str(error)[:300], "type": "server_error"}})
            return None
        await self._chunk(number, {}, _end(made, self._body))
        return made

    async def _chunk(self, number: int, delta: dict[str, Any], end: dict[str, Any]) -> None:
        await self._event({"choices": [{"index": number, "delta": delta, **end}]})

    async def _event(self, data: dict[str, Any]) -> None:
        await self._response.write(b"data: " + json.dumps({**self._head, **data}).encode() + b"\n\n")


def _end(made: Generation, body: ChatBody) -> dict[str, Any]:
    """How a choice ended, and what was asked for of its tokens."""
    told: dict[str, Any] = {"finish_reason": made.finish_reason}
    if body.logprobs:
        told["logprobs"] = {"content": [_scored(place) for place in made.alternatives], "refusal": None}
    if body.return_token_ids:
        told["token_ids"] = list(made.token_ids)
    return told


def _scored(place: Sequence[Alternative]) -> dict[str, Any]:
    chosen, *others = place
    return {**_token(chosen), "top_logprobs": [_token(one) for one in others]}


def _token(one: Alternative) -> dict[str, Any]:
    whole = "\ufffd" not in one.text
    told = {"token": one.text, "logprob": one.logprob, "bytes": list(one.text.encode()) if whole else None}
    return told if one.token_id is None else {"id": one.token_id, **told}


def _usage(made: Sequence[Generation]) -> dict[str, int]:
    """The prompt counts once: it was read once."""
    asked = made[0].prompt_tokens
    written = sum(len(one.token_ids) or len(one.logprobs) for one in made)
    return {"prompt_tokens": asked, "completion_tokens": written, "total_tokens": asked + written}


async def _read(request: web.Request) -> ChatBody:
    try:
        return ChatBody.model_validate_json(await request.read())
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "body"
        if fault["type"] == "extra_forbidden":
            raise Problem(400, f"{place}: this engine does not have it; leave it out") from error
        raise Problem(400, f"{place}: {fault['msg']}") from error
