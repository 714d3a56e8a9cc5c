"""No rao is lost or made: random calls and blocks on both eras' rules, against books kept beside the chain."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pytest
from bittensor_core import encode_ss58
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ranvier.chain.birth import first_state
from ranvier.chain.calls import (
    AddStake,
    BecomeDelegate,
    Call,
    CommitTimelocked,
    CreateSubnet,
    DecreaseTake,
    DissolveSubnet,
    Faucet,
    IncreaseTake,
    MoveStake,
    Register,
    RemoveStake,
    RootRegister,
    Serve,
    SetChildren,
    SetChildTake,
    SetHyperparameter,
    SetRootWeights,
    SetWeights,
    StartCall,
    Transfer,
)
from ranvier.chain.emission import RAO_SUPPLY, block_emission, divide_by_shares, split_owner
from ranvier.chain.genesis import Genesis, GenesisNeuron, GenesisSubnet
from ranvier.chain.handlers.locked import next_round
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.network import NetworkParameters
from ranvier.chain.payment import pay
from ranvier.chain.policies import divide_emission
from ranvier.chain.pool import Waiting
from ranvier.chain.pulse import Lock, Pulse, seal_row
from ranvier.chain.records import decode, encode, names, state_hash
from ranvier.chain.rules import rules_of
from ranvier.chain.runtime import next_block
from ranvier.chain.steps import EpochRecord
from ranvier.chain.store import Commit
from ranvier.chain.supply import owed

TAO = 10**9
COLD = [str(encode_ss58(bytes([number]) * 32, 42)) for number in range(1, 5)]
HOT = [str(encode_ss58(bytes([100 + number]) * 32, 42)) for number in range(8)]
OWNER = COLD[3]
SETTINGS = Hyperparameters(
    tempo=3,
    max_allowed_uids=4,
    max_allowed_validators=2,
    immunity_period=3,
    weights_rate_limit=2,
    serving_rate_limit=2,
    adjustment_interval=4,
    adjustment_alpha=0,
    max_regs_per_block=2,
    target_regs_per_interval=2,
    burn=TAO,
    min_burn=1000,
    max_burn=5 * TAO,
    burn_half_life=4,
)
HIDDEN = SETTINGS.model_copy(update={"commit_reveal": True})
PULSE = Pulse(bytes(32))
colds, hots, netuids = st.sampled_from(COLD), st.sampled_from(HOT), st.integers(1, 2)
amounts = st.one_of(st.integers(0, 1000), st.integers(0, 20 * TAO), st.just(2**64 - 1))
weights = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 65535)), max_size=4)


def genesis(era: Any, issued: int) -> Genesis:
    """Two subnets, one with an owner, one hotkey on both; `issued` more rao lie with a coldkey that never moves."""
    neurons = [GenesisNeuron(hotkey=HOT[i], coldkey=COLD[i % 2], stake=(i + 1) * TAO) for i in range(3)]
    vault = {str(encode_ss58(bytes([77]) * 32, 42)): issued} if issued else {}
    return Genesis(
        era=era,
        clock="manual",
        faucet=333 * TAO,
        network=NetworkParameters(
            emission="root",
            stake_interval=2,
            min_stake=1000,
            delegate_interval=1,
            take_interval=3,
            children_delay=1,
            children_interval=1,
            root_tempo=3,
            root_seats=2,
            root_weights_interval=2,
            subnet_limit=3,
            subnet_interval=2,
            subnet_immunity=4,
            lock_minimum=TAO,
            lock_interval=20,
            commit_reveal_version=4,
        ),
        balances={**dict.fromkeys(COLD, 10 * TAO), **vault},
        new_subnet=SETTINGS,
        subnets=(
            GenesisSubnet(name="a", hyperparameters=SETTINGS, neurons=tuple(neurons), owner=OWNER),
            GenesisSubnet(name="b", hyperparameters=HIDDEN, neurons=(neurons[0],), emission_share=0.3),
        ),
    )


def given_away(commit: Commit) -> int:
    """Rao that the faucet made in a block."""
    return sum(event.data["amount"] for event in commit.events if event.name == "Faucet")


class Ledgers(RuleBasedStateMachine):
    """A chain, the records its store would hold, and an issuance counted from the outside."""

    era: str

    @initialize(issued=st.sampled_from([0, RAO_SUPPLY // 2, RAO_SUPPLY - 1000 * TAO, RAO_SUPPLY - 380 * TAO]))
    def start(self, issued: int) -> None:
        self.genesis = genesis(self.era, issued)
        self.state = first_state(self.genesis)
        self.state.take_changed()
        self.disk = encode(self.state, names(self.state))
        self.issuance = self.genesis.issuance()
        self.waiting: list[Waiting] = []
        self.epochs: tuple[EpochRecord, ...] = ()
        self.given = self.received = 0

    def queue(self, signer: str, call: Call) -> None:
        number = len(self.waiting)
        until = self.state.head.number + 8
        self.waiting.append(Waiting(f"0x{self.state.head.number:032x}{number:032x}", signer, until, call))

    @rule(signer=colds, to=colds, amount=amounts)
    def transfer(self, signer: str, to: str, amount: int) -> None:
        self.queue(signer, Transfer(to, amount))

    @rule(signer=colds)
    def ask_the_faucet(self, signer: str) -> None:
        self.queue(signer, Faucet())

    @rule(signer=colds, hotkey=hots, amount=amounts)
    def stake(self, signer: str, hotkey: str, amount: int) -> None:
        self.queue(signer, AddStake(hotkey, amount))

    @rule(signer=colds, hotkey=hots, amount=amounts)
    def unstake(self, signer: str, hotkey: str, amount: int) -> None:
        self.queue(signer, RemoveStake(hotkey, amount))

    @rule(signer=colds, origin=hots, hotkey=hots, amount=amounts)
    def move(self, signer: str, origin: str, hotkey: str, amount: int) -> None:
        self.queue(signer, MoveStake(origin, hotkey, amount))

    @rule(signer=colds, hotkey=hots, take=st.integers(5000, 12000))
    def become_delegate(self, signer: str, hotkey: str, take: int) -> None:
        self.queue(signer, BecomeDelegate(hotkey, take))

    @rule(
        signer=colds,
        hotkey=hots,
        take=st.integers(5000, 12000),
        kind=st.sampled_from([IncreaseTake, DecreaseTake]),
    )
    def set_take(self, signer: str, hotkey: str, take: int, kind: Any) -> None:
        self.queue(signer, kind(hotkey, take))

    @rule(signer=colds, hotkey=hots)
    def found(self, signer: str, hotkey: str) -> None:
        self.queue(signer, CreateSubnet(hotkey, "new"))

    @rule(signer=colds, netuid=st.integers(1, 4))
    def start_subnet(self, signer: str, netuid: int) -> None:
        self.queue(signer, StartCall(netuid))

    @rule(signer=colds, netuid=st.integers(1, 4))
    def dissolve(self, signer: str, netuid: int) -> None:
        self.queue(signer, DissolveSubnet(netuid))

    @rule(
        signer=colds,
        netuid=netuids,
        name=st.sampled_from(["kappa", "max_burn", "min_burn", "immunity_period"]),
    )
    def set_hyperparameter(self, signer: str, netuid: int, name: str) -> None:
        self.queue(signer, SetHyperparameter(netuid, name, 2000))

    @rule(signer=colds, hotkey=hots)
    def sit_on_root(self, signer: str, hotkey: str) -> None:
        self.queue(signer, RootRegister(hotkey))

    @rule(signer=colds, hotkey=hots, values=st.tuples(st.integers(0, 9), st.integers(0, 9)))
    def weigh_subnets(self, signer: str, hotkey: str, values: tuple[int, int]) -> None:
        self.queue(signer, SetRootWeights(hotkey, (1, 2), values))

    @rule(signer=colds, netuid=netuids, hotkey=hots, child=hots, part=st.sampled_from([1, 2**62, 2**64 - 1]))
    def set_children(self, signer: str, netuid: int, hotkey: str, child: str, part: int) -> None:
        self.queue(signer, SetChildren(hotkey, netuid, ((part, child),)))
        self.queue(signer, SetChildTake(child, netuid, 9000))

    @rule(signer=colds, netuid=netuids, hotkey=hots)
    def register(self, signer: str, netuid: int, hotkey: str) -> None:
        self.queue(signer, Register(netuid, hotkey))

    @rule(signer=hots, netuid=netuids, row=weights)
    def set_weights(self, signer: str, netuid: int, row: list[tuple[int, int]]) -> None:
        self.queue(signer, SetWeights(netuid, tuple(u for u, _ in row), tuple(v for _, v in row)))

    @rule(which=st.integers(0, 9), row=weights, late=st.sampled_from([0, 0, 0, 1]))
    def lock_row(self, which: int, row: list[tuple[int, int]], late: int) -> None:
        """Sealed as a client would, sometimes to a block that the chain does not take."""
        hidden = [
            (netuid, hotkey)
            for netuid, subnet in sorted(self.state.subnets.items())
            if subnet.hyperparameters.commit_reveal
            for hotkey in subnet.uids
        ]
        if hidden:
            netuid, signer = hidden[which % len(hidden)]
            block = next_round(self.state, rules_of(self.era), netuid) + late
            call = CommitTimelocked(netuid, tuple(u for u, _ in row), tuple(v for _, v in row))
            self.queue(signer, seal_row(call, signer, Lock(block, PULSE.public(block))))
            self.advance()

    @rule(signer=hots, netuid=netuids)
    def serve(self, signer: str, netuid: int) -> None:
        self.queue(signer, Serve(netuid, "10.0.0.1", 8091))

    @rule()
    def block(self) -> None:
        self.advance()

    @precondition(lambda self: self.state.head.number > 0)
    @rule(count=st.integers(2, 9))
    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.advance()

    def advance(self) -> None:
        calls, self.waiting = self.waiting, []
        before = copy.deepcopy(self.state)
        expected = self.issuance_after_step()
        commit = next_block(self.state, self.genesis, 1.0, calls, PULSE)
        burned = sum(e.data["burn"] for e in commit.events if e.name == "NeuronRegistered")
        ended = {e.data["netuid"] for e in commit.events if e.name == "NetworkRemoved"}
        early = self.granted([record for record in commit.epochs if record.netuid in ended])
        self.epochs = tuple(record for record in commit.epochs if record.netuid not in ended)
        self.received += early
        self.issuance = expected - burned + early + given_away(commit)
        self.keep(commit)
        refused = [outcome.error is not None for outcome in commit.outcomes]
        if any(refused):
            # What was refused left nothing behind: the same block without it ends in the same state.
            kept = [call for call, failed in zip(calls, refused, strict=True) if not failed]
            next_block(before, self.genesis, 1.0, kept, PULSE)
            assert state_hash(before) == state_hash(self.state)

    def granted(self, records: Iterable[EpochRecord]) -> int:
        return sum(row.server_emission + row.validator_emission for record in records for row in record.rows)

    def issuance_after_step(self) -> int:
        """What this block's step must make: the owners' cuts now, and what the last block's epochs granted."""
        made = block_emission(self.issuance)
        paid, self.given = self.granted(self.epochs), self.given + made
        state = copy.deepcopy(self.state)
        for subnet in state.subnets.values():
            for payment in subnet.loaded:
                pay(state.ledger, payment, rules_of(self.era).take(state, payment.hotkey))
        left = RAO_SUPPLY - state.ledger.issuance - sum(subnet.pending for subnet in state.subnets.values())
        self.given += min(made, left) - made
        made = min(made, left)
        shares = divide_emission(state, state.head.number + 1)
        parts = divide_by_shares(made, [shares.get(netuid, 0) for netuid in sorted(shares)])
        cuts = [
            split_owner(part, SETTINGS.subnet_owner_cut)[0]
            for netuid, part in zip(sorted(shares), parts, strict=True)
            if state.subnets[netuid].owner
        ]
        self.received += paid + sum(cuts)
        return self.issuance + paid + sum(cuts)

    def keep(self, commit: Commit) -> None:
        for name, value in commit.records.items():
            if value is None:
                self.disk.pop(name, None)
            else:
                self.disk[name] = value

    @invariant()
    def every_rao_is_held_by_somebody(self) -> None:
        ledger = self.state.ledger
        held = sum(ledger.balances.values()) + sum(sum(by.values()) for by in ledger.stakes.values())
        held += sum(ledger.locks.values())
        assert held == ledger.issuance == self.issuance

    @invariant()
    def there_never_is_more_than_there_may_be(self) -> None:
        assert self.state.ledger.issuance + owed(self.state) <= RAO_SUPPLY

    @invariant()
    def no_locked_row_outlives_its_epoch(self) -> None:
        for subnet in self.state.subnets.values():
            waiting = [one for promises in subnet.commits.values() for one in promises if one.sealed]
            assert all(one.first_reveal > subnet.last_step for one in waiting)
            assert not waiting or subnet.hyperparameters.commit_reveal

    @invariant()
    def nobody_owes(self) -> None:
        ledger = self.state.ledger
        assert min(ledger.balances.values()) >= 0
        assert all(amount >= 0 for by in ledger.stakes.values() for amount in by.values())

    @invariant()
    def no_more_is_paid_than_the_blocks_gave(self) -> None:
        underway = sum(p.server + p.validator for s in self.state.subnets.values() for p in s.loaded)
        pending = sum(subnet.pending for subnet in self.state.subnets.values())
        assert self.received + underway + pending <= self.given

    @invariant()
    def the_stored_records_are_the_state(self) -> None:
        assert state_hash(decode(self.disk, self.genesis.existential_deposit)) == state_hash(self.state)

    @invariant()
    def a_uid_has_one_hotkey_and_a_hotkey_one_uid(self) -> None:
        for subnet in self.state.subnets.values():
            assert {slot.hotkey: uid for uid, slot in enumerate(subnet.slots)} == subnet.uids
            assert len(subnet.slots) <= SETTINGS.max_allowed_uids
            for rows in (subnet.weights, subnet.bonds):
                named = {uid for row in rows.values() for uid in row} | set(rows)
                assert named <= set(range(len(subnet.slots)))


@pytest.mark.parametrize("era", ["2024", "y2"])
def test_random_calls_and_blocks_lose_no_rao(era: str) -> None:
    machine = type(f"Ledgers{era}", (Ledgers,), {"era": era})
    machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    machine.TestCase("runTest").runTest()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("era", ["2024", "y2"])
def test_thousands_of_random_calls_and_blocks_lose_no_rao(era: str) -> None:
    """Longer lives: up to 250 calls and blocks in each of 60."""
    machine = type(f"Long{era}", (Ledgers,), {"era": era})
    machine.TestCase.settings = settings(max_examples=60, stateful_step_count=250, deadline=None)
    machine.TestCase("runTest").runTest()


@pytest.mark.parametrize("era", ["2024", "y2"])
def test_the_same_calls_on_the_same_genesis_give_the_same_chain(era: str) -> None:
    """And an epoch is reached and paid: the books above are not kept over empty blocks."""
    hashes = []
    for _ in range(2):
        born = genesis(era, 0)
        state = first_state(born)
        call = SetWeights(1, (0, 1), (1, 2))
        for number in range(12):
            calls = [Waiting(f"0x{number:064x}", HOT[2], 100, call)] if number == 1 else []
            next_block(state, born, float(number), calls)
        hashes.append((state.head.hash, state_hash(state)))
        assert state.ledger.issuance > born.issuance() + 5 * TAO
        assert state.subnets[1].slots[1].incentive == 43_689
    assert hashes[0] == hashes[1]
