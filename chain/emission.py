"""How many rao are made and how they are divided. Divisions floor and say where the remainder goes."""

from __future__ import annotations

from collections.abc import Sequence

RAO_SUPPLY = 21 * 10**15
"""All rao that will ever be: 21 million TAO."""

FULL_REWARD = 10**9
"""Rao per block before the first halving: 1 TAO."""

OWNER_CUT = 11_796
"""The subnet owner's part of emission as u16 ratio (18 %)."""


def block_emission(issuance: int) -> int:
    """Rao that the next block makes at this total issuance (rao); 0 once the supply is out.

    The reward halves each time half of what was left has been issued: it is 1e9 >> k with the largest k for
    which issuance >= supply - (supply >> k). Burned rao lower issuance and so delay the next halving.
    """
    left = RAO_SUPPLY - issuance
    if left <= 0:
        return 0
    halvings = 0
    while left <= RAO_SUPPLY >> (halvings + 1):
        halvings += 1
    return FULL_REWARD >> halvings


def split_owner(amount: int, cut: int = OWNER_CUT) -> tuple[int, int]:
    """(owner's rao, the rest) of a subnet's emission; `cut` is a u16 ratio, taken in I96F32."""
    owner = (amount * ((cut << 32) // 65535)) >> 32
    return owner, amount - owner


def share_out(amount: int, stakes: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """(each holder's part by stake, what the floors left over); the parts and the rest add up to `amount`.

    A part is floor(amount * share) with the share cut to 64 fraction bits, as I64F64 does. Without any stake
    nobody receives anything and all of it is left over.
    """
    total = sum(stakes)
    if total == 0:
        return (0,) * len(stakes), amount
    parts = tuple((amount * ((stake << 64) // total)) >> 64 for stake in stakes)
    return parts, amount - sum(parts)


def split_delegate(amount: int, take: int, stakes: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """(rao for the delegate, part of each nominator) of a validator's emission.

    `take` is a u16 ratio cut in I64F64; the delegate receives it and every remainder of the floors. The
    delegate's own stake takes part when it stands among `stakes`.
    """
    taken = (amount * ((take << 64) // 65535)) >> 64
    parts, rest = share_out(amount - taken, stakes)
    return taken + rest, parts


def divide_by_shares(amount: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Divide a block's emission between subnets by integer weights; the floors' remainder goes to the first.

    The sum is `amount` unless all weights are 0, when nothing is handed out.
    """
    total = sum(weights)
    if total == 0:
        return (0,) * len(weights)
    parts = [amount * weight // total for weight in weights]
    parts[next(i for i, weight in enumerate(weights) if weight)] += amount - sum(parts)
    return tuple(parts)
