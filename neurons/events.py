"""What a validator says of its rounds: frozen reports, and the same as JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """Base of events."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MinerLine(Event):
    """One miner in one round. Counts are of tasks; ``verified`` are those judged right, ``elapsed`` the mean seconds of
    its answers, ``value`` the mean of what counted (None: nothing did), ``average`` its moving average afterwards.
    """

    hotkey: str
    uid: int
    asked: int
    answered: int
    verified: int
    value: float | None
    average: float
    elapsed: float | None
    reason: str


class RoundReport(Event):
    """One acknowledged round."""

    event: Literal["round"] = "round"
    validator: str
    netuid: int
    round: int
    block: int
    epoch: int
    seconds: float
    miners: tuple[MinerLine, ...]


class SecretCommitted(Event):
    """The hash of an epoch's secret, said before its first use."""

    event: Literal["commit"] = "commit"
    validator: str
    netuid: int
    epoch: int
    commitment: str


class SecretRevealed(Event):
    """A spent secret (hex): anybody can now recompute that epoch's tasks and audits."""

    event: Literal["reveal"] = "reveal"
    validator: str
    netuid: int
    epoch: int
    commitment: str
    secret: str


class WeightsSet(Event):
    """How an epoch's weights ended; ``weights`` are u16 by hotkey."""

    event: Literal["weights"] = "weights"
    validator: str
    netuid: int
    epoch: int
    landing: str
    attempts: int
    detail: str
    weights: dict[str, int]


class EventFile:
    """Appends events as JSON lines; every line is flushed, so that a reader sees whole rounds."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def __call__(self, event: Event) -> None:
        """Append one line."""
        with self._path.open("a") as file:
            file.write(event.model_dump_json() + "\n")
