"""The end of all TAO: what is granted and not paid yet is kept free, for the faucet and for blocks."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from test_alpha import block
from test_ledger_properties import COLD, TAO, genesis

from ranvier.chain.birth import first_state
from ranvier.chain.calls import Faucet
from ranvier.chain.emission import RAO_SUPPLY
from ranvier.chain.explorer_views import network
from ranvier.chain.genesis import Genesis
from ranvier.chain.state import ChainState
from ranvier.chain.supply import owed, room

BLOCKS = 3
OTHERS = genesis("2024", 0).issuance()


def near_the_end(left: int) -> tuple[ChainState, Genesis]:
    """After a few blocks, with `left` rao that may still be made, and some that are granted already."""
    born = genesis("2024", 0).model_copy(update={"faucet": 100 * TAO})
    plain = first_state(born)
    for _ in range(BLOCKS):
        block(plain, born)
    assert owed(plain) > TAO
    vault = RAO_SUPPLY - plain.ledger.issuance - owed(plain) - left
    state = first_state(born)
    for _ in range(BLOCKS):
        block(state, born)
    state.ledger.mint(COLD[0], vault)
    assert room(state) == left
    return state, born


def test_the_faucet_leaves_what_is_granted() -> None:
    state, born = near_the_end(100 * TAO - 1)
    assert RAO_SUPPLY - state.ledger.issuance >= 100 * TAO
    assert block(state, born, (COLD[1], Faucet())) == ["FaucetDisabled"]
    assert state.network.given_away == 0


def test_all_that_may_be_is_made_and_no_rao_more() -> None:
    state, born = near_the_end(100 * TAO + TAO)
    for _ in range(2):  # the second finds less than it would give
        block(state, born, (COLD[1], Faucet()))
    assert state.network.given_away == 100 * TAO
    for _ in range(400):
        block(state, born)
        assert state.ledger.issuance + owed(state) <= RAO_SUPPLY
    assert room(state) < TAO

    state, born = near_the_end(3)
    assert network(state).block_emission == 3
    for _ in range(30):
        block(state, born)
        assert state.ledger.issuance + owed(state) <= RAO_SUPPLY
    # What floors left of the last payments: so few rao that a block makes none of them.
    assert 0 <= room(state) <= 3
    assert network(state).block_emission == 0
