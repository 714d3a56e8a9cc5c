"""The validator's half: tasks from secret seeds, one hash to check each solution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from ranvier.subnets import Answer, Cheat, Round, Subnet, SubnetSettings, Task, Verdict, speed_bands
from ranvier.subnets.speed import HIGH
from ranvier_example.cheats import CHEATS
from ranvier_example.puzzle import Puzzle, PuzzleMiner, PuzzleSettings, solves


class PuzzleSubnet(Subnet[Puzzle]):
    """Pays the share of solved puzzles times a bounded speed band."""

    name: ClassVar[str] = "puzzle"
    synapse: ClassVar[type[Puzzle]] = Puzzle
    Settings: ClassVar[type[SubnetSettings]] = PuzzleSettings
    miner: ClassVar[type[PuzzleMiner]] = PuzzleMiner
    cheats: ClassVar[Mapping[str, Cheat]] = CHEATS

    def tasks(self, round: Round) -> Iterator[Task[Puzzle]]:
        """One puzzle for each miner."""
        settings = PuzzleSettings.model_validate(self.context.settings.model_dump())
        for peer in round.peers:
            challenge = round.seed(peer.hotkey).hex()
            yield Task(peer, Puzzle(challenge=challenge, count=settings.count, bits=settings.bits))

    async def score(self, round: Round, answers: Sequence[Answer[Puzzle]]) -> list[Verdict]:
        """All or nothing for each answer, then the speed band of those that passed."""
        wrong = [_wrong(round, answer) for answer in answers]
        times = {str(place): answers[place].elapsed for place, fault in enumerate(wrong) if fault is None}
        bands = speed_bands(times) if times else {}
        return [
            Verdict(bands[str(place)] / HIGH, "solved") if fault is None else fault
            for place, fault in enumerate(wrong)
        ]


def _wrong(round: Round, answer: Answer[Puzzle]) -> Verdict | None:
    """What is wrong with an answer; None if nothing is."""
    request, numbers = answer.task.request, answer.reply.solutions
    if len(set(numbers)) != request.count or len(numbers) != request.count:
        return Verdict(0.0, f"{len(set(numbers))} of {request.count} solutions")
    seed = request.seed(answer.task.peer.hotkey, round.validator)
    if all(0 <= number < 1 << 64 and solves(seed, number, request.bits) for number in numbers):
        return None
    return Verdict(0.0, "not solutions of this puzzle", caught=True)
