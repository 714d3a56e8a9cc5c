"""One subnet's alpha: the pool's reserve of it, who holds the rest, and what the pool's price was like lately."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ranvier.chain.errors import Overdrawn

PRICE_BITS: Final = 64
"""Fraction bits of prices, rao of TAO per rao of alpha."""
FLOW_BITS: Final = 32
"""Fraction bits of the moving flow."""
SHARE_BITS: Final = 32
"""Fraction bits of what is withheld."""


@dataclass
class Market:
    """Amounts are rao of alpha (1e9 to one alpha); the pool's TAO is `Ledger.pools`.

    `issued` counts all alpha there is: the pool's `reserve` and the stakes by (hotkey, coldkey), always.
    `pending_root` is the part of the subnet's pending emission that root's stake earned. `flow` is the TAO that
    stakers put in, less what they took, since the last block; `moving_price` and `moving_flow` are their averages.
    `withheld` is the part of what the last epoch's miners mined that was the owner's, and never made.
    """

    reserve: int = 0
    issued: int = 0
    pending_root: int = 0
    moving_price: int = 0
    flow: int = 0
    moving_flow: int = 0
    withheld: int = 0
    stakes: dict[str, dict[str, int]] = field(default_factory=dict)

    def staked(self, hotkey: str) -> int:
        """All alpha on a hotkey."""
        return sum(self.stakes.get(hotkey, {}).values())

    def stake_of(self, hotkey: str, coldkey: str) -> int:
        """Alpha that a coldkey has on a hotkey."""
        return self.stakes.get(hotkey, {}).get(coldkey, 0)

    def restake(self, hotkey: str, coldkey: str, amount: int) -> None:
        """Add to a stake, or take from it; what is left at zero is forgotten. Raises `Overdrawn`."""
        left = self.stake_of(hotkey, coldkey) + amount
        if left < 0:
            raise Overdrawn(f"{coldkey} has {left - amount} alpha on {hotkey}, not {-amount}; report this")
        held = self.stakes.setdefault(hotkey, {})
        held[coldkey] = left
        if not left:
            del held[coldkey]
        if not held:
            del self.stakes[hotkey]

    def holders(self) -> Mapping[str, int]:
        """Alpha by coldkey, over all hotkeys."""
        found: dict[str, int] = {}
        for held in self.stakes.values():
            for coldkey, amount in held.items():
                found[coldkey] = found.get(coldkey, 0) + amount
        return found

    def total(self) -> int:
        """The sum over the pool and all stakes; equals `issued`."""
        return self.reserve + sum(sum(held.values()) for held in self.stakes.values())


def given_out(into: int, out_of: int, paid: int) -> int:
    """What a constant-product pool gives of its `out_of` for `paid` more of its `into`.

    The reserve that stays is rounded up, so that the product never falls; 0 from a pool without either reserve.
    """
    if not (into and out_of and paid):
        return 0
    return out_of + -(into * out_of) // (into + paid)


def price(tao: int, reserve: int) -> int:
    """TAO per alpha with `PRICE_BITS` fraction bits; an empty pool's is one."""
    return (tao << PRICE_BITS) // reserve if tao and reserve else 1 << PRICE_BITS
