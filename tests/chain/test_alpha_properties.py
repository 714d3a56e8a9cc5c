"""No rao of TAO and none of alpha is lost or made: random trades, calls and blocks on a chain with alpha."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from ranvier.chain.birth import first_state
from ranvier.chain.calls import AddStake, MoveStake, RemoveStake
from ranvier.chain.emission import RAO_SUPPLY, block_emission
from ranvier.chain.genesis import Genesis
from ranvier.chain.market import given_out
from ranvier.chain.policies import runs
from ranvier.chain.pool import Waiting
from ranvier.chain.records import encode, names, state_hash
from ranvier.chain.runtime import next_block

sys.path.insert(0, str(Path(__file__).parent))

from test_ledger_properties import COLD, HOT, PULSE, TAO, Ledgers, amounts, colds, genesis, given_away

places = st.sampled_from([1, 1, 2, 2, 3, 0])
known = st.sampled_from(HOT[:3])
trades = st.one_of(st.integers(0, 2 * TAO), st.integers(0, 3000), st.just(10**6), st.just(2**64 - 1))


def alpha_genesis(issued: int, policy: str) -> Genesis:
    """As for plain TAO, with alpha: the first subnet's pool holds 50 TAO, the second's nothing."""
    plain = genesis("y2", issued).model_dump()
    plain["network"] |= {"alpha": True, "emission": policy, "average_half_life": 5, "stake_interval": 0}
    plain["subnets"][0]["pool"] = 50 * TAO
    return Genesis.model_validate(plain)


class AlphaLedgers(Ledgers):
    """The same calls, and trades; TAO is counted from the outside, alpha against each subnet's own issue."""

    era = "y2"

    @initialize(
        issued=st.sampled_from([0, RAO_SUPPLY // 2, RAO_SUPPLY - 1000 * TAO, RAO_SUPPLY - 380 * TAO]),
        policy=st.sampled_from(["root", "price", "flow"]),
    )
    def start(self, issued: int, policy: str) -> None:  # type: ignore[override]
        self.genesis = alpha_genesis(issued, policy)
        self.state = first_state(self.genesis)
        self.state.take_changed()
        self.disk = encode(self.state, names(self.state))
        self.issuance = self.genesis.issuance()
        self.waiting = []

    @rule(signer=colds, hotkey=known, amount=trades, netuid=places)
    def buy(self, signer: str, hotkey: str, amount: int, netuid: int) -> None:
        self.queue(signer, AddStake(hotkey, amount, netuid))
        self.advance()

    @rule(signer=colds, hotkey=known, amount=trades, netuid=places)
    def sell(self, signer: str, hotkey: str, amount: int, netuid: int) -> None:
        self.queue(signer, RemoveStake(hotkey, amount, netuid))

    @rule(
        netuid=places,
        which=st.integers(0, 20),
        part=st.sampled_from([1, 2, 3]),
        to=places,
        onto=known,
        limit=st.sampled_from([None, None, 0, TAO // 2, TAO, 10 * TAO]),
    )
    def swap_what_is_held(
        self, netuid: int, which: int, part: int, to: int, onto: str, limit: int | None
    ) -> None:
        """Some stake there really is, so that trades are carried out and not refused only."""
        subnet = self.state.subnets.get(netuid)
        by_hotkey = self.state.ledger.stakes if subnet is None else subnet.market.stakes  # type: ignore[union-attr]
        held = [(hot, cold, alpha) for hot, by in by_hotkey.items() for cold, alpha in by.items()]
        if held and (netuid == 0 or subnet is not None):
            hotkey, coldkey, alpha = held[which % len(held)]
            self.queue(coldkey, MoveStake(hotkey, onto, alpha // part, netuid, to, limit))
            self.queue(coldkey, RemoveStake(hotkey, alpha // 5, netuid))
            self.advance()

    def advance(self) -> None:
        calls, self.waiting = self.waiting, []
        running = any(runs(self.state, subnet) for subnet in self.state.subnets.values())
        made = min(block_emission(self.issuance), RAO_SUPPLY - self.issuance) if running else 0
        before = copy.deepcopy(self.state)
        commit = next_block(self.state, self.genesis, 1.0, calls, PULSE)
        refused = [outcome.error is not None for outcome in commit.outcomes]
        if any(refused):
            kept = [call for call, no in zip(calls, refused, strict=True) if not no]
            next_block(before, self.genesis, 1.0, kept, PULSE)
            assert state_hash(before) == state_hash(self.state)
        gift = given_away(commit)
        told = {event.name for event in commit.events}
        if told & {"NeuronRegistered", "NetworkRemoved"}:  # both burn TAO where a pool is empty
            assert self.state.ledger.issuance <= self.issuance + made + gift
            self.issuance = self.state.ledger.issuance
        self.issuance += 0 if told & {"NeuronRegistered", "NetworkRemoved"} else made + gift
        self.keep(commit)

    @invariant()
    def every_rao_is_held_by_somebody(self) -> None:
        ledger = self.state.ledger
        held = sum(ledger.balances.values()) + sum(sum(by.values()) for by in ledger.stakes.values())
        held += sum(ledger.locks.values()) + sum(ledger.pools.values())
        assert held == ledger.issuance == self.issuance
        assert ledger.all_staked == sum(sum(by.values()) for by in ledger.stakes.values())

    @invariant()
    def every_alpha_is_in_the_pool_or_staked(self) -> None:
        assert self.state.ledger.pools.keys() == self.state.subnets.keys()
        for subnet in self.state.subnets.values():
            market = subnet.market
            assert market is not None
            assert market.reserve + sum(sum(by.values()) for by in market.stakes.values()) == market.issued
            assert min([market.reserve, *(a for by in market.stakes.values() for a in by.values())]) >= 0

    @invariant()
    def no_more_is_paid_than_the_blocks_gave(self) -> None:
        for subnet in self.state.subnets.values():
            assert subnet.market is not None
            assert subnet.pending >= subnet.market.pending_root >= 0


def test_random_trades_calls_and_blocks_lose_neither_tao_nor_alpha() -> None:
    machine = AlphaLedgers
    machine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
    machine.TestCase("runTest").runTest()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_thousands_of_random_trades_and_blocks_lose_neither() -> None:
    """Longer lives: up to 250 trades, calls and blocks in each of 40."""
    machine = type("LongAlpha", (AlphaLedgers,), {})
    machine.TestCase.settings = settings(max_examples=40, stateful_step_count=250, deadline=None)
    machine.TestCase("runTest").runTest()


@given(into=amounts, out_of=amounts, paid=amounts, again=amounts)
def test_a_pool_never_loses_by_a_trade(into: int, out_of: int, paid: int, again: int) -> None:
    """The product never falls, a pool is never emptied, and there and back brings no profit."""
    got = given_out(into, out_of, paid)
    assert 0 <= got < max(1, out_of)
    assert (into + paid) * (out_of - got) >= into * out_of
    assert given_out(out_of - got, into + paid, got) <= paid
    if into:  # nothing is to be had of a pool that has nothing yet
        assert got + given_out(into + paid, out_of - got, again) <= given_out(into, out_of, paid + again)


@pytest.mark.parametrize("policy", ["root", "price", "flow"])
def test_the_same_trades_give_the_same_chain(policy: str) -> None:
    heads: list[Any] = []
    for _ in range(2):
        born = alpha_genesis(0, policy)
        state = first_state(born)
        for number in range(12):
            call = AddStake(HOT[0], TAO // 10, 1) if number % 3 == 0 else RemoveStake(HOT[0], 10**6, 1)
            next_block(state, born, float(number), [Waiting(f"0x{number:064x}", COLD[0], 100, call)])
        heads.append(encode(state, names(state)))
        assert state.subnets[1].market is not None
        assert state.subnets[1].market.staked(HOT[0]) > TAO // 10
    assert heads[0] == heads[1]
