"""What a laboratory came to: who was paid what for which work, and whether honest work paid best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from ranvier.neurons.localnet.cast import Kind
from ranvier.subnets.tournament import BOUNDS

if TYPE_CHECKING:
    from rich.table import Table

_KIND_BOUNDS: Final[Mapping[Kind, str]] = {Kind.RELAY: "relay", Kind.FREE: "free", Kind.CHEAPER: "cheaper"}
TAO: Final = 1e9


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How often validators gave one reason. Numbers in it are written as #; ``paid``: it was worth something."""

    reason: str
    paid: bool
    count: int


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """One participant. Amounts are rao since the first incentive; counts are of all validators together.

    ``share`` is the pay over that of the least-paid honest miner without a fault (None: there is none). ``cpu`` are
    seconds of its answer code alone, without engines and other processes; they do not count when rows are compared.
    """

    name: str
    kind: Kind
    hotkey: str
    uid: int | None
    stake: int
    pay: int = 0
    dividends: int = 0
    share: float | None = None
    cpu: float = field(default=0.0, compare=False)
    answers: int = 0
    asked: int = 0
    answered: int = 0
    verified: int = 0
    verdicts: tuple[Verdicts, ...] = ()
    faults: tuple[str, ...] = ()
    rounds: int = 0
    weights_landed: int = 0
    weights_missed: int = 0

    @property
    def pay_per_cpu_second(self) -> float | None:
        """Rao for one CPU second of answering; None where none was spent."""
        return self.pay / self.cpu if self.cpu else None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far two validators' weight rows lie apart: half the L1 distance, 0 the same, 1 nothing in common.

    Compared at every epoch in which both had a row.
    """

    first: str
    second: str
    mean: float
    worst: float
    epochs: int


@dataclass(frozen=True, slots=True)
class Report:
    """A laboratory so far. ``cpu`` are the process' CPU seconds for it, ``seconds`` simulated ones."""

    subnet: str
    seed: int
    rounds: int
    blocks: int
    epochs: int
    seconds: float
    participants: tuple[ParticipantRow, ...]
    disagreements: tuple[Disagreement, ...]
    cpu: float = field(default=0.0, compare=False)

    def __getitem__(self, name: str) -> ParticipantRow:
        """The row of a participant; raises KeyError naming those there are."""
        for row in self.participants:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} is none of {', '.join(row.name for row in self.participants)}")

    def failures(self, bounds: Mapping[str, float] = BOUNDS) -> tuple[str, ...]:
        """What speaks against the subnet: an unpaid honest miner, or a cheat above its kind's bound.

        ``bounds`` are shares of the least-paid honest miner's pay by kind of cheat. Participants that a fault befell
        prove nothing and are left out.
        """
        return tuple(self._failures(bounds))

    def honest_pay_best(
        self, *, bounds: Mapping[str, float] = BOUNDS, disagreement: float | None = None
    ) -> None:
        """Raise AssertionError, naming every failure, unless honest work paid best.

        With ``disagreement`` no two validators may have been farther apart than that in their mean.
        """
        found = [
            *self.failures(bounds),
            *(
                f"{pair.first} and {pair.second} disagree by {pair.mean:.3f} on average"
                for pair in self.disagreements
                if disagreement is not None and pair.mean > disagreement
            ),
        ]
        if found:
            listed = "\n  ".join(found)
            raise AssertionError(f"subnet {self.subnet}, seed {self.seed}, {self.rounds} rounds:\n  {listed}")

    def to_json(self) -> str:
        """The report as JSON; `from_json` reads it back."""
        return _REPORT.dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str) -> Report:
        """A report that `to_json` wrote; raises pydantic's ValidationError for anything else."""
        return _REPORT.validate_json(text)

    def write(self, path: Path) -> None:
        """Write the JSON, whole or not at all."""
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(self.to_json() + "\n")
        fresh.replace(path)

    def table(self) -> Table:
        """For a terminal: ``rich.print(report.table())``."""
        from ranvier.testing.table import table

        return table(self)

    def _failures(self, bounds: Mapping[str, float]) -> Iterator[str]:
        honest = [row for row in self.participants if row.kind is Kind.HONEST and not row.faults]
        if not honest:
            yield "no honest miner without a fault is left to compare with"
            return
        for row in honest:
            if row.pay == 0:
                yield f"{row.name} is honest and earned nothing: {_most(row)}"
        least = min(row.pay for row in honest)
        for row in self.participants:
            kind = _KIND_BOUNDS.get(row.kind)
            if kind is not None and not row.faults and row.pay > bounds[kind] * least:
                share = row.pay / least if least else float("inf")
                yield f"{row.name} ({row.kind}) earned {share:.3f} of an honest miner, more than {bounds[kind]:.3f}"


def _most(row: ParticipantRow) -> str:
    """The reason that validators gave most often."""
    most = max(row.verdicts, key=lambda one: one.count, default=None)
    return f"{most.reason} ({most.count} times)" if most else "it was never asked"


_REPORT: Final = TypeAdapter(Report)
