"""The root network: validators with the most stake, whose weights over subnets divide emission (rules of 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Final

Row = dict[int, int]
ONE: Final = 1 << 32
_EXACT: Final = Context(prec=40)
"""Decimal, since its exponential is rounded the same everywhere; floats' need not be."""


@dataclass(slots=True)
class Seat:
    """A validator of the root network; `weights` are u16 by netuid."""

    hotkey: str
    joined_at: int
    last_update: int = 0
    weights: Row = field(default_factory=dict)


@dataclass
class RootState:
    """Seats by uid, and `shares`: the last division of emission by netuid, I32F32 bits that add up to one at most."""

    seats: list[Seat] = field(default_factory=list)
    shares: dict[int, int] = field(default_factory=dict)

    def seat_of(self, hotkey: str) -> Seat | None:
        """The seat of a hotkey."""
        return next((seat for seat in self.seats if seat.hotkey == hotkey), None)


@dataclass(frozen=True, slots=True)
class Standing:
    """What root says of one subnet, I32F32 bits: rank, and the share of root's stake that gives it any weight."""

    rank: int
    trust: int


def standings(
    seats: Iterable[Seat], stakes: Callable[[str], int], netuids: Iterable[int]
) -> dict[int, Standing]:
    """Of every subnet: rank sums stake share times weight share. Weights of subnets that are no more do not count."""
    known = sorted(netuids)
    held = [(seat, stakes(seat.hotkey)) for seat in seats]
    total = sum(stake for _, stake in held)
    ranks, trusts = dict.fromkeys(known, 0), dict.fromkeys(known, 0)
    for seat, stake in held:
        row = {netuid: seat.weights.get(netuid, 0) for netuid in known}
        given = sum(row.values())
        if not (given and stake):
            continue
        share = (stake << 32) // total
        for netuid, weight in row.items():
            ranks[netuid] += share * ((weight << 32) // given) >> 32
            trusts[netuid] += share if weight else 0
    return {netuid: Standing(ranks[netuid], trusts[netuid]) for netuid in known}


def sigmoid_shares(found: Mapping[int, Standing], kappa: int, rho: int) -> dict[int, int]:
    """Emission by rank times consensus 1 / (1 + exp(-rho * (trust - kappa))), normalised; `kappa` of 65535.

    The policy of 2024: a subnet that a minority of root's stake weighs receives next to nothing.
    """
    middle = _EXACT.divide(Decimal(kappa), Decimal(65535))
    return _normalised(
        {netuid: int(_consensus(one.trust, middle, rho) * one.rank) for netuid, one in found.items()}
    )


def proportional_shares(found: Mapping[int, Standing]) -> dict[int, int]:
    """Emission strictly in proportion to rank."""
    return _normalised({netuid: one.rank for netuid, one in found.items()})


def _consensus(trust: int, middle: Decimal, rho: int) -> Decimal:
    above = _EXACT.subtract(_EXACT.divide(Decimal(trust), Decimal(ONE)), middle)
    return _EXACT.divide(Decimal(1), 1 + _EXACT.exp(-rho * above))


def _normalised(values: Mapping[int, int]) -> dict[int, int]:
    total = sum(values.values())
    return {netuid: (value << 32) // total if total else 0 for netuid, value in values.items()}
