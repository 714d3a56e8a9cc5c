"""Weights: set in the open, or promised and shown."""

from __future__ import annotations

from collections.abc import Mapping

from ranvier.chain.calls import CommitWeights, ResetBonds, RevealWeights, SetWeights
from ranvier.chain.handlers import rows
from ranvier.chain.handlers.context import Context, Handler, refuse


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


def reset_bonds(context: Context, call: ResetBonds, hotkey: str) -> None:
    """Take the signer out of everybody's bonds; where the subnet does not let it, nothing, as on the real chain."""
    if context.genesis.era == "2024":
        refuse(call, "CallDisabled", "bonds are not given up by the rules of 2024")
    subnet = context.state.subnets.get(call.netuid)
    uid = None if subnet is None else subnet.uids.get(hotkey)
    if subnet is None or uid is None:
        refuse(call, "AccountNotAllowedCommit", f"register {hotkey} on subnet {call.netuid} first")
    if not subnet.hyperparameters.bonds_reset:
        return
    subnet.bonds = {
        row: {to: bond for to, bond in bonds.items() if to != uid} for row, bonds in subnet.bonds.items()
    }
    subnet.touch("bonds")
    context.tell("BondsReset", netuid=call.netuid, uid=uid, hotkey=hotkey)


HANDLERS: Mapping[type, Handler] = {
    SetWeights: set_weights,
    CommitWeights: commit_weights,
    RevealWeights: reveal_weights,
    ResetBonds: reset_bonds,
}
