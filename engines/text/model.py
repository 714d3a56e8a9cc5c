"""A text model as the server sees it: batched generation and batched verification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ranvier.engines.models import (
    SEEDED_GUMBEL,
    FinishReason,
    Generation,
    ModelInfo,
    ScoreRequest,
    TextRequest,
    TokenEvidence,
)
from ranvier.engines.text.gumbel import choose, entropy, log_softmax_at, scores, tempered
from ranvier.engines.text.network import Floats, Network

IMPOSSIBLE: Final = 1e9
"""The margin of a token that cannot be chosen at all."""

OnToken = Callable[[int, int, str], bool]


@dataclass(slots=True)
class _Row:
    """One request while it is being answered."""

    number: int
    request: TextRequest
    prompt_tokens: int
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    said: str = ""
    finish: FinishReason | None = None


class CausalText:
    """A `TextModel` over a `Network`."""

    def __init__(self, name: str, network: Network) -> None:
        self._network = network
        self._info = ModelInfo(
            id=name,
            kind="text",
            digest=network.digest,
            dtype=network.dtype,
            device=network.device,
            features=(SEEDED_GUMBEL, "score", "stream", "logprobs"),
            extra={
                "vocabulary": network.vocabulary,
                "context": network.context,
                "chat_template_sha256": network.template_hash,
            },
        )

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        return self._info

    def generate(self, requests: Sequence[TextRequest], on_token: OnToken | None = None) -> list[Generation]:
        """Continue a batch; rows leave it as they finish. Raises ValueError for a prompt that does not fit."""
        prompts = [self._network.encode(request.messages) for request in requests]
        rows = [
            _Row(number, request, len(prompt))
            for number, (request, prompt) in enumerate(zip(requests, prompts, strict=True))
        ]
        self._check(rows)
        decoding, live = self._network.start(prompts), rows
        while True:
            for row, logits in zip(live, decoding.logits, strict=True):
                self._advance(row, logits, on_token)
            going = [place for place, row in enumerate(live) if row.finish is None]
            if not going:
                return [self._generation(row) for row in rows]
            if len(going) < len(live):
                self._network.keep(decoding, going)
                live = [live[place] for place in going]
            self._network.step(decoding, [row.token_ids[-1] for row in live])

    def score(self, requests: Sequence[ScoreRequest]) -> list[TokenEvidence]:
        """One prefill over prompts and answers; evidence for each answer's tokens."""
        prompts = [self._network.encode(request.messages) for request in requests]
        for request in requests:
            if any(not 0 <= token < self._network.vocabulary for token in request.token_ids):
                raise ValueError("a token id lies outside the vocabulary")
        answers = [list(request.token_ids) for request in requests]
        logits = self._network.prefill(prompts, answers)
        return [self._evidence(request, rows) for request, rows in zip(requests, logits, strict=True)]

    def _check(self, rows: Sequence[_Row]) -> None:
        for row in rows:
            needed = row.prompt_tokens + row.request.sampling.max_tokens
            if needed > self._network.context:
                raise ValueError(f"{needed} tokens do not fit into a context of {self._network.context}")

    def _advance(self, row: _Row, logits: Floats, on_token: OnToken | None) -> None:
        sampling = row.request.sampling
        token = choose(
            scores(logits, sampling.seed, len(row.token_ids), sampling.temperature, sampling.top_p)
        )
        row.token_ids.append(token)
        row.logprobs.append(log_softmax_at(logits, token))
        if token in self._network.end_ids:
            row.finish = "stop"
        elif len(row.token_ids) >= sampling.max_tokens:
            row.finish = "length"
        if on_token is not None or sampling.stop:
            self._speak(row, token, on_token)

    def _speak(self, row: _Row, token: int, on_token: OnToken | None) -> None:
        """Hand out what is new; a character that is still incomplete waits for its other bytes."""
        text = self._network.decode(row.token_ids)
        piece = text[len(row.said) :]
        if piece.endswith("\ufffd") and row.finish is None:
            piece = ""
        row.said += piece
        if any(stop in text for stop in row.request.sampling.stop):
            row.finish = "stop"
        if on_token is not None and not on_token(row.number, token, piece):
            row.finish = "cancelled"

    def _generation(self, row: _Row) -> Generation:
        text = self._network.decode(row.token_ids)
        return Generation(
            text, tuple(row.token_ids), tuple(row.logprobs), row.prompt_tokens, row.finish or "length"
        )

    def _evidence(self, request: ScoreRequest, logits: Floats) -> TokenEvidence:
        sampling = request.sampling
        expected, margin, logprob, nats = [], [], [], []
        for position, (token, row) in enumerate(zip(request.token_ids, logits, strict=True)):
            perturbed = scores(row, sampling.seed, position, sampling.temperature, sampling.top_p)
            best = choose(perturbed)
            gap = float(perturbed[best] - perturbed[token])
            expected.append(best)
            margin.append(gap if np.isfinite(gap) else IMPOSSIBLE)
            logprob.append(log_softmax_at(row, token))
            nats.append(
                entropy(tempered(row, sampling.temperature, sampling.top_p)) if sampling.temperature else 0.0
            )
        return TokenEvidence(
            tuple(expected),
            tuple(margin),
            tuple(logprob),
            tuple(nats),
            self._network.end_ids,
            self._network.decode(request.token_ids),
        )
