"""Who takes part: for each subnet its validators, honest miners and cheats, with unequal stakes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ranvier.chain import RAO
from ranvier.subnets import Subnet


class Kind(StrEnum):
    """What a participant is; the table shows it and the verdict judges by it."""

    VALIDATOR = "validator"
    SELF_DEALER = "self-dealer"
    HONEST = "honest"
    SLOW = "honest, slower"
    WEAK = "honest, weaker"
    RELAY = "relay"
    FREE = "free"
    CHEAPER = "cheaper work"
    PET = "pet"

    @property
    def validates(self) -> bool:
        """Whether it sets weights."""
        return self in (Kind.VALIDATOR, Kind.SELF_DEALER)

    @property
    def is_honest_miner(self) -> bool:
        """Whether it does the work it is paid for."""
        return self in (Kind.HONEST, Kind.SLOW, Kind.WEAK)

    @property
    def bound(self) -> float | None:
        """The largest share of the least-paid honest miner's emission that it may earn; None for the honest."""
        return {Kind.RELAY: 1 / 50, Kind.FREE: 1 / 50, Kind.PET: 1 / 50, Kind.CHEAPER: 1 / 5}.get(self)


VALIDATOR_STAKES: Final = (40_000, 31_000, 23_000)
"""TAO of the honest validators: unequal, none with a majority, any two more than the self-dealer."""
SELF_DEALER_STAKE: Final = 18_000
MINIMUM_STAKE: Final = 5_000
"""TAO that a caller must hold to be served; a miner cannot earn as much within a run."""
RELAY_STAKE: Final = 6_000
"""A relay whose challenges are bound to hotkeys may hold enough stake to be served: its answers are still worthless."""
SLOW_SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class Participant:
    """One hotkey. ``stake`` is in rao; ``cheat`` is a key of ``Subnet.cheats``; ``delay`` is in seconds."""

    name: str
    subnet: str
    kind: Kind
    stake: int = 0
    cheat: str | None = None
    model: str | None = None
    delay: float = 0.0


def cast(subnet: type[Subnet[Any]]) -> tuple[Participant, ...]:
    """Everyone who takes part in ``subnet``: four validators, two honest miners, its cheats and the pet."""
    return (
        *_validators(subnet.name),
        *_honest(subnet),
        *_cheats(subnet),
        _member(subnet.name, "pet", Kind.PET),
    )


def _member(subnet: str, role: str, kind: Kind, **facts: Any) -> Participant:
    return Participant(f"{subnet}-{role}", subnet, kind, **facts)


def _validators(subnet: str) -> tuple[Participant, ...]:
    honest = tuple(
        _member(subnet, f"validator-{number}", Kind.VALIDATOR, stake=stake * RAO)
        for number, stake in enumerate(VALIDATOR_STAKES, 1)
    )
    return (*honest, _member(subnet, "self-dealer", Kind.SELF_DEALER, stake=SELF_DEALER_STAKE * RAO))


def _honest(subnet: type[Subnet[Any]]) -> tuple[Participant, ...]:
    first = _member(subnet.name, "honest-1", Kind.HONEST)
    if subnet.weaker is not None:
        return first, _member(subnet.name, "honest-2", Kind.WEAK, model=subnet.weaker[1])
    return first, _member(subnet.name, "honest-2", Kind.SLOW, delay=SLOW_SECONDS)


def _cheats(subnet: type[Subnet[Any]]) -> tuple[Participant, ...]:
    kinds = {"relay": Kind.RELAY, "free": Kind.FREE, "cheaper": Kind.CHEAPER}
    return tuple(
        _member(
            subnet.name,
            name,
            kinds[cheat.kind],
            cheat=name,
            model=cheat.model,
            stake=RELAY_STAKE * RAO if cheat.kind == "relay" and subnet.binds_answers else 0,
        )
        for name, cheat in subnet.cheats.items()
    )
