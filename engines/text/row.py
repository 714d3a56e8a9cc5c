"""One answer while it is being written: its tokens, its text, its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ranvier.engines.models import FinishReason, Generation, TextRequest
from ranvier.engines.text.gumbel import log_softmax_at, pick
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
    said: str = ""
    """The text that was handed out so far."""
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
        token = pick(logits, sampling.seed, len(self.token_ids), sampling.temperature, sampling.top_p)
        self.token_ids.append(token)
        self.logprobs.append(log_softmax_at(logits, token))
        if token in end_ids:
            self.finish = "stop"
        elif len(self.token_ids) >= sampling.max_tokens:
            self.finish = "length"
        return token

    def speak(self, network: Network) -> str:
        """What is new of its text; a character that is still incomplete waits for its other bytes."""
        text = network.decode(self.token_ids)
        piece = text[len(self.said) :]
        if piece.endswith("\ufffd") and self.finish is None:
            piece = ""
        self.said += piece
        if any(stop in text for stop in self.request.sampling.stop):
            self.finish = "stop"
        return piece

    def generation(self, network: Network) -> Generation:
        """As it is."""
        text = network.decode(self.token_ids)
        return Generation(
            text, tuple(self.token_ids), tuple(self.logprobs), len(self.prompt), self.finish or "length"
        )
