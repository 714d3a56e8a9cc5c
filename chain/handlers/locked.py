"""Locked rows of weights: taken sealed, and opened by the chain itself just before the epoch they were meant for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ranvier.chain.calls import CommitSealed
from ranvier.chain.errors import CallRefused
from ranvier.chain.handlers import rows
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.models import WeightCommit
from ranvier.chain.pulse import MOST_SEALED, Pulse, open_row
from ranvier.chain.rules import Rules
from ranvier.chain.state import ChainState, SubnetState
from ranvier.chain.views import subnet_of

LOCKED: Final = 4
"""The `commit_reveal_version` from which on a chain takes locked rows."""


def next_round(state: ChainState, rules: Rules, netuid: int) -> int:
    """The block whose key a row that is promised in the next block is sealed to. Raises `NotFound`."""
    return rules.reveal_window(subnet_of(state, netuid), state.head.number + 1)[1]


def commit_sealed(context: Context, call: CommitSealed, hotkey: str) -> None:
    """Take a sealed row; what is in it shows when it is opened."""
    version = context.state.network.parameters.commit_reveal_version
    if version < LOCKED:
        refuse(
            call,
            "CallDisabled",
            f"rows are locked from commit_reveal_version {LOCKED} on, here it is {version}",
        )
    if len(call.sealed) > 2 * MOST_SEALED:
        refuse(call, "BadRequest", f"a sealed row has {MOST_SEALED} bytes at most")
    subnet = context.subnet(call, call.netuid)
    first, last = context.rules.reveal_window(subnet, context.block)
    if not first <= call.round <= last:
        refuse(call, "InvalidRevealRound", f"rows that are promised now open from block {first} to {last}")
    waiting = [one for one in subnet.commits.get(hotkey, ()) if one.sealed and one.first_reveal >= first]
    if len(waiting) >= rows.MOST_COMMITS:
        refuse(call, "TooManyUnrevealedCommits", f"{len(waiting)} rows of this epoch are locked already")
    # Epochs may come later than planned, by as much as one of them lasts.
    late = call.round + subnet.hyperparameters.tempo + 1
    promise = WeightCommit("", context.block, call.round, late, call.sealed)
    rows.promise_row(context.state, call, hotkey, context.block, promise)
    context.tell("WeightsLocked", netuid=call.netuid, hotkey=hotkey, round=call.round)


def open_rows(context: Context, pulse: Pulse | None) -> None:
    """Open, before this block's epochs, the rows that wait for them; those whose time has passed are dropped."""
    for subnet in context.rules.epochs(context.state.subnets.values(), context.block):
        for hotkey in sorted(subnet.commits):
            for promise in [one for one in subnet.commits[hotkey] if one.sealed]:
                if promise.first_reveal <= context.block:
                    _open(context, subnet, hotkey, promise, pulse)


def _open(
    context: Context, subnet: SubnetState, hotkey: str, promise: WeightCommit, pulse: Pulse | None
) -> None:
    rows.drop_promise(subnet, hotkey, promise)
    told = {"netuid": subnet.netuid, "hotkey": hotkey}
    try:
        uid = _store(context, subnet, hotkey, promise, pulse)
    except CallRefused as refusal:
        context.tell("WeightsNotRevealed", **told, error=refusal.name, message=refusal.message)
    else:
        context.tell("WeightsRevealed", **told, uid=uid)


def _store(
    context: Context, subnet: SubnetState, hotkey: str, promise: WeightCommit, pulse: Pulse | None
) -> int:
    if context.block > promise.last_reveal or pulse is None:
        late = f"it could be opened up to block {promise.last_reveal}"
        raise CallRefused("ExpiredWeightCommit", late, CommitSealed.call)
    if promise.block <= pulse.since:
        other = f"it was sealed to the keys of the chain that the checkpoint of block {pulse.since} is of"
        raise CallRefused("InvalidRevealRound", f"{other}; send it anew", CommitSealed.call)
    private = pulse.private(promise.first_reveal)
    row = open_row(promise.sealed, private, subnet.netuid, hotkey, promise.first_reveal)
    if row is None:
        wrong = "it was not sealed by this hotkey for this subnet and block"
        raise CallRefused("InvalidRevealCommitHashNotMatch", wrong, CommitSealed.call)
    return rows.show_row(context.state, row, hotkey, context.block)


HANDLERS: Mapping[type, Handler] = {CommitSealed: commit_sealed}
