"""What happens in every block before its calls, in the order of the 2024 runtime."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ranvier.chain.alpha import accumulate, divided, is_burned
from ranvier.chain.children import shared
from ranvier.chain.emission import block_emission, divide_by_shares, split_owner
from ranvier.chain.epoch_result import EpochResult
from ranvier.chain.market import SHARE_BITS
from ranvier.chain.models import EpochRow
from ranvier.chain.payment import Payment
from ranvier.chain.policies import divide_emission, runs
from ranvier.chain.rules import Rules
from ranvier.chain.snapshot import snapshot
from ranvier.chain.state import ChainState, SubnetState
from ranvier.chain.subnet_life import pay_loaded
from ranvier.chain.supply import room
from ranvier.chain.yuma import epoch


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch that ran, for the history."""

    netuid: int
    rows: tuple[EpochRow, ...]


def step(state: ChainState, rules: Rules, block: int) -> list[EpochRecord]:
    """Prices; payment of the last block's epochs; new emission; epochs. Returns the epochs that ran.

    Rao come into being when they are paid: the owner's cut at once to the owner's balance, the rest as stake
    in the block after the epoch. What floors leave over is never made. With alpha on, TAO goes into the subnets'
    pools and the same is true of alpha.
    """
    subnets = [state.subnets[netuid] for netuid in sorted(state.subnets)]
    for subnet in subnets:
        rules.start_block(subnet, block)
    made = block_emission(state.ledger.issuance)
    for subnet in subnets:
        _pay(state, rules, subnet)
    made = min(made, room(state))  # less only where a faucet has brought the end of all TAO near
    relative = divide_emission(state, block)
    shares = divide_by_shares(made, [relative.get(subnet.netuid, 0) for subnet in subnets])
    for subnet, amount in zip(subnets, shares, strict=True):
        if runs(state, subnet):
            _accumulate(state, subnet, amount)
    return [_run_epoch(state, rules, subnet, block) for subnet in rules.epochs(subnets, block)]


def _pay(state: ChainState, rules: Rules, subnet: SubnetState) -> None:
    pay_loaded(state, rules, subnet)
    if subnet.loaded:
        subnet.loaded = ()
        subnet.touch("loaded")


def _accumulate(state: ChainState, subnet: SubnetState, amount: int) -> None:
    if subnet.market is not None:
        accumulate(state, subnet, amount)
        return
    if subnet.owner is not None:
        cut, amount = split_owner(amount, subnet.hyperparameters.subnet_owner_cut)
        if cut:
            state.ledger.mint(subnet.owner, cut)
    subnet.pending += amount


def _run_epoch(state: ChainState, rules: Rules, subnet: SubnetState, block: int) -> EpochRecord:
    emission, subnet.pending = subnet.pending, 0
    if subnet.families.settle(block):
        subnet.touch("families")
    rows: tuple[EpochRow, ...] = ()
    if subnet.slots:
        result = epoch(snapshot(state, rules, subnet, block, emission))
        _store(subnet, result)
        rows = tuple(_rows(state, subnet, result))
        paid = (Payment(r.hotkey, r.server_emission, r.validator_emission) for r in rows)
        loaded = shared(paid, subnet.families, state.worth_on(subnet), state.ledger.owners)
        subnet.loaded = loaded if subnet.market is None else divided(state, subnet, loaded)
        if subnet.market is not None:
            burned = sum(row.burned for row in rows)
            mined = burned + sum(row.server_emission for row in rows)
            subnet.market.withheld = (burned << SHARE_BITS) // mined if mined else 0
        subnet.touch("loaded")
    subnet.last_step = subnet.counted_from = block
    return EpochRecord(subnet.netuid, rows)


def _store(subnet: SubnetState, result: EpochResult) -> None:
    for uid, slot in enumerate(subnet.slots):
        slot.active, slot.permit = result.active[uid], result.permits[uid]
        slot.rank, slot.trust = result.rank[uid], result.trust[uid]
        slot.validator_trust, slot.consensus = result.validator_trust[uid], result.consensus[uid]
        slot.incentive, slot.dividends = result.incentive[uid], result.dividends[uid]
        slot.emission, slot.pruning = result.emission[uid], result.pruning[uid]
    subnet.bonds = result.bonds.to_dict()
    subnet.touch("standing", "bonds")


def _rows(state: ChainState, subnet: SubnetState, result: EpochResult) -> Iterable[EpochRow]:
    for uid, slot in enumerate(subnet.slots):
        mined, burned = result.server_emission[uid], 0
        if is_burned(state, subnet, slot.hotkey):
            mined, burned = 0, mined
        yield EpochRow(
            uid=uid,
            hotkey=slot.hotkey,
            incentive=slot.incentive,
            dividends=slot.dividends,
            server_emission=mined,
            validator_emission=result.validator_emission[uid],
            burned=burned,
        )
