"""One answer while it is being written: its tokens, its text, its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ranvier.engines.models import Alternative, FinishReason, Generation, TextRequest
from ranvier.engines.text import stops
from ranvier.engines.text.choice import next_token
from ranvier.engines.text.gumbel import log_softmax_at
from ranvier.engines.text.network import Floats, Network


@dataclass(slots=True, eq=False)
class Row:
    """``key`` is the asker's own name for it; ``slot`` its place in the cache, which holds ``read`` of its tokens."""

    key: Any
    request: TextRequest
    prompt: list[int]
    slot: int
    read: int = 0
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    likeliest: list[list[tuple[int, float]]] = field(default_factory=list)
    """For each token itself and what else was likely, where that was asked for."""
    said: int = 0
    """Letters that were handed out so far."""
    finish: FinishReason | None = None

    @property
    def known(self) -> list[int]:
        """All its tokens: the prompt, and what was written of the answer."""
        return [*self.prompt, *self.token_ids]

    @property
    def unread(self) -> int:
        """How many of those the model has still to read before the next token can be chosen."""
        return len(self.prompt) + len(self.token_ids) - self.read

    @property
    def longest(self) -> int:
        """Tokens of its prompt and of the longest answer that it may get."""
        return len(self.prompt) + self.request.sampling.max_tokens

    def advance(self, logits: Floats, end_ids: tuple[int, ...]) -> int:
        """Choose the next token; ``finish`` is set where it is the last."""
        sampling = self.request.sampling
        token = next_token(logits, sampling, self.prompt, self.token_ids)
        self.token_ids.append(token)
        self.logprobs.append(log_softmax_at(logits, token))
        if sampling.alternatives is not None:
            best = np.argsort(-logits, kind="stable")[: sampling.alternatives].tolist()
            shift = self.logprobs[-1] - float(logits[token])
            self.likeliest.append([(one, float(logits[one]) + shift) for one in (token, *best)])
        if token in end_ids:
            self.finish = "stop"
        elif len(self.token_ids) >= sampling.max_tokens:
            self.finish = "length"
        return token

    def speak(self, network: Network) -> str:
        """What is new of its text; letters that may be half of a character or of a stop string wait for the rest."""
        text, ends = network.decode(self.token_ids), self.request.sampling.stop
        end = stops.found(text, ends)
        if end is not None:
            self.finish = "stop"
        elif self.finish is None:
            end = min(len(text.rstrip("\ufffd")), len(text) - stops.held(text, ends))
        piece = text[self.said : end]
        self.said += len(piece)
        return piece

    def generation(self, network: Network) -> Generation:
        """As it is."""
        told = tuple(
            tuple(Alternative(one, network.token(one), logprob) for one, logprob in place)
            for place in self.likeliest
        )
        return Generation(
            stops.cut(network.decode(self.token_ids), self.request.sampling.stop),
            tuple(self.token_ids),
            tuple(self.logprobs),
            len(self.prompt),
            self.finish or "length",
            told,
        )
