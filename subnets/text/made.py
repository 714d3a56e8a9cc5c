"""An answer as a validator receives it, and ways of making many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ranvier.engines import Generation, TextRequest


@dataclass(frozen=True, slots=True)
class Made:
    """What is judged of an answer; ``logprobs`` are none where the way reports none."""

    token_ids: tuple[int, ...]
    finish_reason: str
    text: str
    logprobs: tuple[float, ...] = ()

    @classmethod
    def of(cls, made: Generation) -> Made:
        """What an engine generated."""
        return cls(
            made.token_ids, "length" if made.finish_reason == "length" else "stop", made.text, made.logprobs
        )


Way = Callable[[Sequence[TextRequest]], list[Made]]
