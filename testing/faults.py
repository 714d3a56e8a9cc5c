"""What may befall a network: each fault names its participant and the round in which it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Base of faults. ``at`` counts rounds from 0 over the whole life of the laboratory."""

    at: int


@dataclass(frozen=True, slots=True)
class Hang(Fault):
    """A miner takes requests and never answers."""

    who: str


@dataclass(frozen=True, slots=True)
class Lie(Fault):
    """A miner begins to answer with a cheat's code; ``cheat`` is one of the subnet's, "" its first free one."""

    who: str
    cheat: str = ""


@dataclass(frozen=True, slots=True)
class Leave(Fault):
    """A miner stops serving; its uid stays registered."""

    who: str


@dataclass(frozen=True, slots=True)
class Return(Fault):
    """A miner works again as it did at first, with its old hotkey: after `Hang`, `Lie` or `Leave`."""

    who: str


@dataclass(frozen=True, slots=True)
class Replace(Fault):
    """Another hotkey takes a participant's uid; the former one goes on running and knows nothing.

    The newcomer is participant ``NAME-successor-N``: N counts the successors of that first name from 1. It mines
    honestly where ``serves``; else it is a silent seat.
    """

    who: str
    serves: bool = True


@dataclass(frozen=True, slots=True)
class ChainStops(Fault):
    """No block for ``blocks`` times the block's time, and nobody reaches the chain meanwhile."""

    blocks: int


def due(faults: Sequence[Fault], round: int) -> tuple[Fault, ...]:
    """The faults that begin in a round, in the order in which they were given."""
    return tuple(fault for fault in faults if fault.at == round)
