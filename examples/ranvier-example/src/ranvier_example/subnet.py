"""The validator's half: challenges, and what answers are worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from pydantic import Field

from ranvier.subnets import (
    Answer,
    Cheat,
    Round,
    Subnet,
    SubnetSettings,
    Task,
    Verdict,
    banded,
)
from ranvier_example.cheats import CHEATS
from ranvier_example.miner import PuzzleMiner, numbers_of
from ranvier_example.numbers import proves
from ranvier_example.synapse import Puzzle

STEEPNESS: Final = 3
"""The share of solved numbers is raised to this power: the last, hard ones are what is paid for."""


class PuzzleSettings(SubnetSettings):
    """Settings of the puzzle."""

    deadline: float = Field(default=5.0, gt=0, description="seconds a miner has for one answer")
    numbers: int = Field(default=12, ge=1, le=64, description="numbers to factor in one task")


class PuzzleSubnet(Subnet[Puzzle]):
    """Pays for the share of numbers that were factored, by steepness, times the speed band."""

    name: ClassVar[str] = "puzzle"
    synapse: ClassVar[type[Puzzle]] = Puzzle
    Settings: ClassVar[type[SubnetSettings]] = PuzzleSettings
    miner: ClassVar[type[PuzzleMiner]] = PuzzleMiner
    cheats: ClassVar[Mapping[str, Cheat]] = CHEATS

    def tasks(self, round: Round) -> Iterator[Task[Puzzle]]:
        """A challenge of its own for every miner."""
        settings = self.context.settings
        numbers = settings.numbers if isinstance(settings, PuzzleSettings) else PuzzleSettings().numbers
        for peer in round.peers:
            for number in range(settings.tasks_per_miner):
                challenge = round.seed(peer.hotkey, number).hex()
                yield Task(peer, Puzzle(challenge=challenge, numbers=numbers))

    async def score(self, round: Round, answers: Sequence[Answer[Puzzle]]) -> list[Verdict]:
        """Multiply back; a false factorisation is a proof of cheating, a missing one is only missing."""
        return banded(answers, [_judge(round, answer) for answer in answers])


def _judge(round: Round, answer: Answer[Puzzle]) -> Verdict:
    request, claimed = answer.task.request, answer.reply.factors
    numbers = numbers_of(request, answer.task.peer.hotkey, round.validator)
    if len(claimed) != len(numbers):
        return Verdict(0.0, f"{len(claimed)} factorisations for {len(numbers)} numbers")
    solved = 0
    for number, factors in zip(numbers, claimed, strict=True):
        if factors and not proves(number, factors):
            return Verdict(0.0, "false factors", caught=True)
        solved += bool(factors)
    share = solved / len(numbers)
    return Verdict(share**STEEPNESS, f"{solved} of {len(numbers)} solved", evidence={"share": share})
