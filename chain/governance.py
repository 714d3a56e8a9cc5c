"""The two houses: a committee that proposes, and the senate of the root validators with the most stake that votes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ranvier.chain.calls.governance import Action
from ranvier.chain.root import Seat


@dataclass(slots=True)
class Motion:
    """An action that waits for votes until block `ends`; `ayes` and `nays` are senators' hotkeys."""

    number: int
    proposer: str
    action: Action
    ends: int
    ayes: list[str] = field(default_factory=list)
    nays: list[str] = field(default_factory=list)

    def vote(self, hotkey: str, *, approve: bool) -> None:
        """Count a vote, in place of an earlier one."""
        for side in (self.ayes, self.nays):
            if hotkey in side:
                side.remove(hotkey)
        (self.ayes if approve else self.nays).append(hotkey)


@dataclass
class GovernanceState:
    """`committee` are coldkeys; `moved` is how many motions there ever were."""

    committee: tuple[str, ...] = ()
    moved: int = 0
    motions: dict[int, Motion] = field(default_factory=dict)


def senate(seats: Iterable[Seat], stakes: Callable[[str], int], size: int) -> tuple[str, ...]:
    """The hotkeys of root's `size` largest validators, the largest first, of equals who sits lower."""
    ranked = sorted(enumerate(seats), key=lambda pair: (-stakes(pair[1].hotkey), pair[0]))
    return tuple(seat.hotkey for _, seat in ranked[:size])


def threshold(senators: int) -> int:
    """Votes for a motion that carry it: more than half of all senators."""
    return senators // 2 + 1
