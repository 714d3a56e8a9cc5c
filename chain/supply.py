"""How much may still be made. What was granted and is not paid yet counts as if it were there."""

from __future__ import annotations

from ranvier.chain.emission import RAO_SUPPLY
from ranvier.chain.state import ChainState


def owed(state: ChainState) -> int:
    """Rao of TAO that subnets gathered for their next epoch, or epochs gave, and that are made when they are paid.

    Of subnets with alpha nothing: theirs is of alpha.
    """
    return sum(
        subnet.pending + sum(one.server + one.validator for one in subnet.loaded)
        for subnet in state.subnets.values()
        if subnet.market is None
    )


def room(state: ChainState) -> int:
    """Rao that may be made beside all those; never below zero."""
    return max(0, RAO_SUPPLY - state.ledger.issuance - owed(state))
