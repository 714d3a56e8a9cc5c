"""Figures of a bench."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

UNITS: Final = {"text": "tokens", "image": "images", "classify": "texts", "embed": "texts"}


class Figures(BaseModel):
    """Base: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Lap(Figures):
    """One size of load: so many chats at once, or so many pictures or texts in a request."""

    size: int
    context: int = 0
    """Tokens that a request held at most, prompt and answer; text only."""
    lack: str = ""
    """Why it did not end well; the figures are then 0."""
    per_second: float = 0.0
    """Tokens written (prompts are short here), pictures or texts for each second of the clock."""
    per_cpu_second: float = 0.0
    """The same for each second of processor time of the worker."""
    prompt_per_second: float = 0.0
    """Prompt tokens read for each second, from long prompts with answers of one token; text only."""
    first_seconds: float = 0.0
    """Until the first piece of an answer came, the median; text only. Elsewhere the time of a request."""
    resident: int = 0
    """Most system memory that the worker ever had, bytes."""
    device: int = 0
    """Most memory of a GPU that its tensors ever had, bytes."""
    estimate: int = 0
    """What `ranvier models fit` expects of the two for this load, bytes."""

    @property
    def measured(self) -> int:
        """The memory that the estimate is about."""
        return self.device or self.resident


class Bench(Figures):
    """All laps of one model."""

    model: str
    engine: str
    """``ranvier`` or ``llama.cpp``."""
    unit: str
    device: str
    device_name: str
    dtype: str
    threads: int
    prompt_tokens: int = 0
    answer_tokens: int = 0
    laps: tuple[Lap, ...] = ()

    @property
    def kind(self) -> str:
        """Of the model: only alike work is compared."""
        return self.model.partition("=")[0]

    @property
    def done(self) -> tuple[Lap, ...]:
        """Laps with figures."""
        return tuple(one for one in self.laps if not one.lack)


class Choice(NamedTuple):
    """The fastest at a size, and how many times as fast as the next: by the clock, and for each CPU second."""

    size: int
    best: Bench
    times: float
    cpu_times: float


def faster(benches: Sequence[Bench]) -> list[Choice]:
    """Of several models for the same work, at each size that two ended."""
    found = []
    for size in sorted({lap.size for one in benches for lap in one.done}):
        laps = [(lap, one) for one in benches for lap in one.done if lap.size == size]
        laps.sort(key=lambda pair: pair[0].per_second, reverse=True)
        if len(laps) > 1:
            (first, best), (second, _) = laps[:2]
            cpu = first.per_cpu_second / second.per_cpu_second if second.per_cpu_second else 0.0
            found.append(Choice(size, best, first.per_second / second.per_second, cpu))
    return found
