"""The books of a laboratory: what validators said, what the chain paid, how far weight rows lay apart."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from ranvier.chain import ChainClient, Metagraph
from ranvier.neurons.events import Event, MinerLine, RoundReport, WeightsSet
from ranvier.neurons.localnet.earnings import Earnings
from ranvier.neurons.weights import Landing, WeightsOutcome
from ranvier.testing.report import Disagreement, Verdicts
from ranvier.testing.setup import NETUID, Participant

_DIGITS: Final = re.compile(r"\d+(\.\d+)?")


@dataclass(slots=True)
class Tally:
    """What all validators together said of one hotkey, or did themselves."""

    asked: int = 0
    answered: int = 0
    verified: int = 0
    reasons: Counter[tuple[str, bool]] = field(default_factory=Counter)
    rounds: int = 0
    landed: int = 0
    missed: int = 0

    def add(self, line: MinerLine) -> None:
        """Take in one round's line."""
        self.asked += line.asked
        self.answered += line.answered
        self.verified += line.verified
        if line.asked:
            self.reasons[_DIGITS.sub("#", line.reason), bool(line.value)] += 1

    @property
    def verdicts(self) -> tuple[Verdicts, ...]:
        """By reason, the most frequent first."""
        return tuple(Verdicts(reason, paid, count) for (reason, paid), count in self.reasons.most_common())


class Accounts:
    """Fed by the validators' events and by a look at the chain after every block."""

    def __init__(self, validators: Sequence[Participant]) -> None:
        self._validators = tuple(validators)
        self.tallies: Mapping[str, Tally] = defaultdict(Tally)
        self.earnings = Earnings(NETUID, 0)
        self._seen = 0
        self._apart: dict[tuple[str, str], list[float]] = defaultdict(list)

    def hear(self, event: Event) -> None:
        """A validator's event."""
        if isinstance(event, RoundReport):
            self.tallies[event.validator].rounds += 1
            for line in event.miners:
                self.tallies[line.hotkey].add(line)
        if isinstance(event, WeightsSet):
            tally = self.tallies[event.validator]
            if _landed(event):
                tally.landed += 1
            else:
                tally.missed += 1

    async def look(self, chain: ChainClient) -> None:
        """Once after each block: where an epoch ended, note what it paid and how far the rows lay apart."""
        metagraph = await chain.metagraph(NETUID)
        if metagraph.last_step == self._seen:
            return
        self._seen = metagraph.last_step
        await self.earnings.read(chain)
        self._compare(metagraph, await chain.weights(NETUID))

    def _compare(self, metagraph: Metagraph, rows: Mapping[int, Mapping[int, int]]) -> None:
        present = []
        for validator in self._validators:
            neuron = metagraph.by_hotkey(validator.hotkey)
            row = rows.get(neuron.uid) if neuron else None
            if row and any(row.values()):
                present.append((validator.name, row))
        for (first, one), (second, other) in combinations(present, 2):
            self._apart[first, second].append(distance(one, other))

    @property
    def disagreements(self) -> tuple[Disagreement, ...]:
        """For every pair of validators that had rows to compare."""
        return tuple(
            Disagreement(first, second, sum(found) / len(found), max(found), len(found))
            for (first, second), found in self._apart.items()
        )


def _landed(event: WeightsSet) -> bool:
    return WeightsOutcome(Landing(event.landing), event.epoch, event.weights, event.attempts).landed


def distance(one: Mapping[int, int], other: Mapping[int, int]) -> float:
    """Half the L1 distance of two rows, each scaled to a sum of 1; neither may be all zero."""
    first, second = sum(one.values()), sum(other.values())
    uids = sorted(one.keys() | other.keys())
    return sum(abs(one.get(uid, 0) / first - other.get(uid, 0) / second) for uid in uids) / 2
