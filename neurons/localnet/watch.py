"""What the validators say of their rounds: their event files, followed as they grow."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ranvier.neurons.localnet.plan import Folder, Subnetwork


@dataclass(slots=True)
class Tally:
    """One miner as all honest validators together saw it. Latency is the mean of answered requests, in seconds."""

    asked: int = 0
    answered: int = 0
    verified: int = 0
    seconds: float = 0.0
    reason: str = ""
    averages: dict[str, float] = field(default_factory=dict)

    @property
    def latency(self) -> float | None:
        """Mean seconds of an answer; None before the first."""
        return self.seconds / self.answered if self.answered else None

    @property
    def score(self) -> float:
        """Mean over validators of the moving average."""
        return sum(self.averages.values()) / len(self.averages) if self.averages else 0.0


class Tail:
    """Reads the complete lines that were appended to a file since the last call."""

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        self._path = path
        self._offset = path.stat().st_size if from_end and path.exists() else 0

    def lines(self) -> Iterator[str]:
        """New complete lines; a line still being written waits for the next call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._offset += end
        yield from data[:end].decode().splitlines()


class Watcher:
    """Adds up the round events of one subnet's validators since this run began."""

    def __init__(self, folder: Folder, subnet: Subnetwork) -> None:
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.rounds: dict[str, int] = defaultdict(int)
        self._tails = {
            member.hotkey: Tail(folder.events(member.name), from_end=True) for member in subnet.validators
        }

    def read(self) -> None:
        """Take in what is new."""
        for validator, tail in self._tails.items():
            for line in tail.lines():
                self._round(validator, json.loads(line))

    def _round(self, validator: str, event: dict[str, Any]) -> None:
        if event.get("event") != "round":
            return
        self.rounds[validator] += 1
        for miner in event["miners"]:
            tally = self.tallies[miner["hotkey"]]
            tally.asked += miner["asked"]
            tally.answered += miner["answered"]
            tally.verified += miner["verified"]
            tally.seconds += (miner["elapsed"] or 0.0) * miner["answered"]
            tally.averages[validator] = miner["average"]
            tally.reason = miner["reason"] or tally.reason
