"""JSON forms of the values in `ranvier.engines.models`; bytes travel as base64."""

from __future__ import annotations

import base64
from dataclasses import fields
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from ranvier.engines.models import (
    DecodeRequest,
    Generation,
    ImageRequest,
    Message,
    ModelInfo,
    Sampling,
    ScoreRequest,
    StepRequest,
    TextRequest,
    TokenEvidence,
    Trace,
)
from ranvier.engines.states import WorkerState


def _decode(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return base64.b64decode(value, validate=True)


Base64 = Annotated[
    bytes, PlainValidator(_decode), PlainSerializer(lambda raw: base64.b64encode(raw).decode())
]
Seed = Base64
Stop = Annotated[str, Field(min_length=1, max_length=200)]


class Wire(BaseModel):
    """Base of the engine's own messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WireSampling(Wire):
    """`Sampling`."""

    max_tokens: int = Field(default=64, ge=1, le=8192)
    temperature: float = Field(default=1.0, ge=0, le=100)
    top_p: float = Field(default=1.0, gt=0, le=1)
    stop: tuple[Stop, ...] = Field(default=(), max_length=16)
    seed: Seed | None = None
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0, le=1)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    repetition_penalty: float = Field(default=1.0, gt=0, le=10)
    alternatives: int | None = Field(default=None, ge=0, le=20)

    def value(self) -> Sampling:
        """As the models take it."""
        return Sampling(**{one.name: getattr(self, one.name) for one in fields(Sampling)})


class WireText(Wire):
    """`TextRequest`, and with ``token_ids`` `ScoreRequest`."""

    messages: tuple[Message, ...] = Field(min_length=1, max_length=64)
    sampling: WireSampling = WireSampling()

    def value(self) -> TextRequest:
        """As the models take it."""
        return TextRequest(self.messages, self.sampling.value())

    @classmethod
    def of(cls, request: TextRequest) -> WireText:
        """From what a caller gave."""
        return cls(messages=request.messages, sampling=_sampling(request.sampling))


class WireScore(WireText):
    """`ScoreRequest`."""

    token_ids: tuple[int, ...] = Field(max_length=8192)

    def value(self) -> ScoreRequest:  # type: ignore[override]  # a scored request is its own kind of value
        """As the models take it."""
        return ScoreRequest(self.messages, self.sampling.value(), self.token_ids)

    @classmethod
    def of_score(cls, request: ScoreRequest) -> WireScore:
        """From what a caller gave."""
        return cls(
            messages=request.messages, sampling=_sampling(request.sampling), token_ids=request.token_ids
        )


class WireImage(Wire):
    """`ImageRequest`."""

    prompt: str = Field(min_length=1, max_length=2000)
    seed: Seed
    steps: int = Field(ge=1, le=200)
    guidance: float = Field(ge=0, le=50)
    width: int = Field(ge=8, le=4096)
    height: int = Field(ge=8, le=4096)

    def value(self) -> ImageRequest:
        """As the models take it."""
        return ImageRequest(self.prompt, self.seed, self.steps, self.guidance, self.width, self.height)

    @classmethod
    def of(cls, request: ImageRequest) -> WireImage:
        """From what a caller gave."""
        return cls(
            prompt=request.prompt,
            seed=request.seed,
            steps=request.steps,
            guidance=request.guidance,
            width=request.width,
            height=request.height,
        )


class WireStep(Wire):
    """`StepRequest`."""

    image: WireImage
    number: int = Field(ge=0, le=200)
    latents: Base64 = b""

    def value(self) -> StepRequest:
        """As the models take it."""
        return StepRequest(self.image.value(), self.number, self.latents)

    @classmethod
    def of(cls, request: StepRequest) -> WireStep:
        """From what a caller gave."""
        return cls(image=WireImage.of(request.image), number=request.number, latents=request.latents)


class WireDecode(Wire):
    """`DecodeRequest`."""

    latents: Base64
    width: int = Field(ge=8, le=4096)
    height: int = Field(ge=8, le=4096)

    def value(self) -> DecodeRequest:
        """As the models take it."""
        return DecodeRequest(self.latents, self.width, self.height)

    @classmethod
    def of(cls, request: DecodeRequest) -> WireDecode:
        """From what a caller gave."""
        return cls(latents=request.latents, width=request.width, height=request.height)


class WireTrace(Wire):
    """`Trace`."""

    png: Base64
    latents: tuple[Base64, ...]

    def value(self) -> Trace:
        """As a caller takes it."""
        return Trace(self.png, self.latents)

    @classmethod
    def of(cls, trace: Trace) -> WireTrace:
        """From what a model made."""
        return cls(png=trace.png, latents=trace.latents)


class Named(Wire):
    """A request to one of several served models; None is the first of the kind."""

    model: str | None = None


class GenerateBody(Named):
    """One text request; ``stream`` asks for lines of pieces before the generation."""

    request: WireText
    stream: bool = False


class ScoreBody(Named):
    """A batch to score."""

    requests: tuple[WireScore, ...] = Field(max_length=256)


class ImagesBody(Named):
    """A batch of pictures; ``stream`` asks for a line after every step before the pictures."""

    stream: bool = False
    requests: tuple[WireImage, ...] = Field(max_length=64)


class StepsBody(Named):
    """Steps to be made again."""

    requests: tuple[WireStep, ...] = Field(max_length=256)


class DecodeBody(Named):
    """Final latents to be made pictures of."""

    requests: tuple[WireDecode, ...] = Field(max_length=64)


class TextsBody(Named):
    """Texts to classify or embed."""

    texts: tuple[str, ...] = Field(max_length=1024)


class InfoReply(Wire):
    """What is served, and by which processes."""

    models: tuple[ModelInfo, ...]
    workers: tuple[WorkerState, ...] = ()


class GenerateReply(Wire):
    """A generation."""

    generation: Generation


class ScoreReply(Wire):
    """Evidence, in the order of the requests."""

    evidence: tuple[TokenEvidence, ...]


class ImagesReply(Wire):
    """PNG files, in the order of the requests."""

    images: tuple[Base64, ...]


class TracesReply(Wire):
    """Pictures with their latents, in the order of the requests."""

    traces: tuple[WireTrace, ...]


class LatentsReply(Wire):
    """Latents, in the order of the requests."""

    latents: tuple[Base64, ...]


class RowsReply(Wire):
    """Probabilities or vectors, in the order of the texts."""

    rows: tuple[tuple[float, ...], ...]


def _sampling(sampling: Sampling) -> WireSampling:
    return WireSampling(**{one.name: getattr(sampling, one.name) for one in fields(Sampling)})
