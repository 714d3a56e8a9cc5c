"""Figures of a bench."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

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


def faster(benches: Sequence[Bench]) -> list[tuple[int, Bench, float]]:
    """Of several models for the same work: at each size that two ended, the fastest, and how many times the next."""
    found = []
    for size in sorted({lap.size for one in benches for lap in one.done}):
        ranked = sorted(
            (
                (lap.per_second, number)
                for number, one in enumerate(benches)
                for lap in one.done
                if lap.size == size
            ),
            reverse=True,
        )
        if len(ranked) > 1:
            found.append((size, benches[ranked[0][1]], ranked[0][0] / ranked[1][0]))
    return found
