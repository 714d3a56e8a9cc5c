"""From one block to the next: the block's step, then its calls. No clock, no disk, no network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from ranvier.chain.dispatch import dispatch
from ranvier.chain.errors import CallRefused
from ranvier.chain.explorer_views import point, traded_prices
from ranvier.chain.genesis import Genesis
from ranvier.chain.handlers.context import Context
from ranvier.chain.handlers.funds import FAUCET_INTERVAL
from ranvier.chain.handlers.locked import open_rows
from ranvier.chain.models import Block, Event
from ranvier.chain.pool import Waiting
from ranvier.chain.pulse import Pulse
from ranvier.chain.records import encode
from ranvier.chain.rules import rules_of
from ranvier.chain.state import ChainState
from ranvier.chain.steps import step
from ranvier.chain.store import Commit, Outcome
from ranvier.chain.work import LIFE

SWEEP: Final = 1000
"""Blocks between two looks for paces that hold nobody up any more."""
MOST_RECENT: Final = max(LIFE.values())


def next_block(
    state: ChainState,
    genesis: Genesis,
    timestamp: float,
    calls: Sequence[Waiting],
    pulse: Pulse | None = None,
) -> Commit:
    """Advance `state` by one block that holds `calls`, in order; returns what to store.

    A refused call leaves no trace but its outcome. A call whose last block has passed is refused as
    AncientBirthBlock. Without `pulse` no locked row can be opened.
    """
    rules = rules_of(genesis.era)
    number = state.head.number + 1
    context = Context(state, rules, genesis, number)
    open_rows(context, pulse)
    epochs = step(state, rules, number)
    _remember(state)
    if number % SWEEP == 0:
        state.forget_paces(state.network.over(number, FAUCET_INTERVAL))
        state.ledger.forget_moves(number - state.network.parameters.stake_interval)
    for record in epochs:
        context.tell("EpochRan", netuid=record.netuid)
    outcomes = tuple(_carry_out(context, waiting) for waiting in calls)
    state.head = Block(number, _block_hash(state.head, number, timestamp, calls), timestamp)
    events = tuple(Event(number, index, name, data) for index, (name, data) in enumerate(context.events))
    changed = sorted(state.take_changed())
    records = encode(state, changed)
    touched = {record.netuid for record in epochs}
    touched |= {
        data["netuid"] for name, data in context.events if name in ("NeuronRegistered", "NetworkAdded")
    }
    points = {netuid: point(state, netuid, number) for netuid in sorted(touched & state.subnets.keys())}
    signed = tuple(waiting.signed for waiting in calls if waiting.signed is not None)
    return Commit(
        state.head, records, outcomes, events, tuple(epochs), signed, points, traded_prices(state, changed)
    )


def _carry_out(context: Context, waiting: Waiting) -> Outcome:
    settled = Outcome(waiting.hash, context.block, waiting.valid_until)
    try:
        if waiting.valid_until < context.block:
            raise CallRefused("AncientBirthBlock", f"valid until {waiting.valid_until}", waiting.call.call)
        dispatch(context, waiting.call, waiting.signer)
    except CallRefused as refusal:
        return Outcome(settled.call_hash, settled.block, settled.valid_until, refusal.name, refusal.message)
    return settled


def _remember(state: ChainState) -> None:
    """Keep the newest blocks, whose hashes may be worked on, and what was spent while its block can be named."""
    state.recent = (*state.recent, state.head)[-MOST_RECENT:]
    oldest = state.recent[0].number
    gone = [work for work, block in state.spent.items() if block < oldest]
    for work in gone:
        del state.spent[work]
    state.touch("recent/", *(f"work/{work}" for work in gone))


def _block_hash(parent: Block, number: int, timestamp: float, calls: Sequence[Waiting]) -> str:
    digest = hashlib.sha256(f"ranvier-block/1\n{parent.hash}\n{number}\n{timestamp!r}\n".encode())
    for waiting in calls:
        digest.update(waiting.hash.encode())
    return "0x" + digest.hexdigest()
