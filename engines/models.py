"""What a served model is: the protocols that the engine server calls, and the values they exchange.

Implementations live in sub-packages (``text``, ``image``, ``sentiment``, ``embed``) and import torch; this file
does not. Every method here is *blocking* and is called from one worker thread that owns the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

SEEDED_GUMBEL = "seeded-gumbel-v1"
SEEDED_NOISE = "seeded-noise-v1"
"""A picture's seed means the same on every device and in every dtype."""
LATENT_STEPS = "latent-steps-v1"
"""Latents between the steps of a picture can be had, and a single step can be made again from them."""

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. ``seed`` (32 bytes) selects ``seeded-gumbel-v1``; without it sampling is unseeded.

    With a seed, everything below it must have its default; see `ranvier.engines.text.choice`.
    """

    max_tokens: int = 64
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: bytes | None = None
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    alternatives: int | None = None
    """How many of the likeliest tokens are told beside each token of the answer; None tells nothing."""


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A chat to be continued."""

    messages: tuple[Message, ...]
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that stood to be chosen; ``token_id`` is None where a server does not tell it."""

    token_id: int | None
    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished continuation. ``token_ids`` include the end token when ``finish_reason`` is ``stop`` by it.

    ``text`` ends before a stop string, ``token_ids`` with the token that completed it. ``logprobs`` are natural logs
    under the model's raw distribution (temperature 1), one per token.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    prompt_tokens: int
    finish_reason: FinishReason
    alternatives: tuple[tuple[Alternative, ...], ...] = ()
    """Where `Sampling.alternatives` asked for them: for each token itself, then the likeliest ones."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Ask, in one prefill, what an honest engine would have emitted at each position of ``token_ids``."""

    messages: tuple[Message, ...]
    sampling: Sampling
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenEvidence:
    """Per-position evidence of one prefill; all sequences have the length of the scored ``token_ids``.

    ``expected`` is the seeded choice of this engine, ``margin`` the perturbed score of the expected token minus
    that of the given one (0 where equal, never negative; 1e9 where the given token has probability 0),
    ``logprob`` the raw log-probability of the given token and ``entropy`` (nats) of the sampling distribution;
    ``lean`` is how much likelier (nats, after temperature) the given token is than the expected one, -1e9 at least.
    """

    expected: tuple[int, ...]
    margin: tuple[float, ...]
    logprob: tuple[float, ...]
    entropy: tuple[float, ...]
    lean: tuple[float, ...]
    end_token_ids: tuple[int, ...] = field(default=())
    text: str = ""
    """``decode(token_ids)`` without special tokens: what the answer's text must equal."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One picture. ``seed`` (32 bytes) fixes the noise on every device."""

    prompt: str
    seed: bytes
    steps: int
    guidance: float
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A picture and how it came about: the latents after each step, little-endian numbers of single precision."""

    png: bytes
    latents: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StepRequest:
    """Make step ``number`` (from 0) of a picture again, from ``latents`` before it; those before the first are ignored:
    they are the seeded noise.
    """

    image: ImageRequest
    number: int
    latents: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """Make the picture of final latents."""

    latents: bytes = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What an engine declares of a served model, and what a verifier compares.

    ``digest`` is the SHA-256 (hex) over weights and configuration in the store; ``features`` name extensions such
    as ``seeded-gumbel-v1`` or ``score``; ``extra`` holds small facts of a kind (vocabulary, image size, labels).
    """

    id: str
    kind: Literal["text", "image", "classify", "embed"]
    digest: str
    dtype: str
    device: str
    features: tuple[str, ...] = ()
    extra: dict[str, str | int | float | list[str]] = field(default_factory=dict)


class TextModel(Protocol):
    """A causal language model with a chat template."""

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        ...

    def generate(
        self,
        requests: Sequence[TextRequest],
        on_token: Callable[[int, int, str], bool] | None = None,
    ) -> list[Generation]:
        """Continue a batch. ``on_token(row, token_id, text_piece)`` is called as tokens come; False cancels the row."""
        ...

    def score(self, requests: Sequence[ScoreRequest]) -> list[TokenEvidence]:
        """Batched prefill scoring; see `TokenEvidence`."""
        ...


class ImageModel(Protocol):
    """A text-to-image pipeline."""

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        ...

    def generate(
        self, requests: Sequence[ImageRequest], progress: Callable[[int, Sequence[int]], bool] | None = None
    ) -> list[bytes | ValueError]:
        """Return one PNG for each request, or why there is none; a batch must give the pictures that single calls give.

        ``progress(step from 1, places of the requests in this batch)`` is called after every step; False ends it.
        """
        ...

    def trace(
        self, requests: Sequence[ImageRequest], progress: Callable[[int, Sequence[int]], bool] | None = None
    ) -> list[Trace | ValueError]:
        """As ``generate``, with the latents of every step, where ``latent-steps-v1`` is among the features."""
        ...

    def steps(self, requests: Sequence[StepRequest]) -> list[bytes | ValueError]:
        """The latents after one step each, or why there are none."""
        ...

    def decode(self, requests: Sequence[DecodeRequest]) -> list[bytes | ValueError]:
        """The PNG of each final latents, or why there is none."""
        ...


class Classifier(Protocol):
    """Texts to class probabilities; ``info.extra["labels"]`` gives the order."""

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        ...

    def classify(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Probabilities that sum to 1, in the order of the labels."""
        ...


class Embedder(Protocol):
    """Texts to unit vectors; ``info.extra["dimensions"]`` gives the length."""

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        ...

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Vectors of length 1."""
        ...
