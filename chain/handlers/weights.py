"""Weights: set in the open, or promised and shown."""

from __future__ import annotations

from collections.abc import Mapping

from ranvier.chain.calls import CommitWeights, RevealWeights, SetWeights
from ranvier.chain.handlers import rows
from ranvier.chain.handlers.context import Context, Handler


def set_weights(context: Context, call: SetWeights, hotkey: str) -> None:
    """Replace the signer's row."""
    uid = rows.set_weights(context.state, call, hotkey, context.block)
    context.tell("WeightsSet", netuid=call.netuid, uid=uid, hotkey=hotkey)


def commit_weights(context: Context, call: CommitWeights, hotkey: str) -> None:
    """Take a promise of a row."""
    rows.commit_weights(context.state, context.rules, call, hotkey, context.block)
    context.tell("WeightsCommitted", netuid=call.netuid, hotkey=hotkey, commit_hash=call.commit_hash)


def reveal_weights(context: Context, call: RevealWeights, hotkey: str) -> None:
    """Store the row behind a promise."""
    uid = rows.reveal_weights(context.state, call, hotkey, context.block)
    context.tell("WeightsRevealed", netuid=call.netuid, uid=uid, hotkey=hotkey)


HANDLERS: Mapping[type, Handler] = {
    SetWeights: set_weights,
    CommitWeights: commit_weights,
    RevealWeights: reveal_weights,
}
