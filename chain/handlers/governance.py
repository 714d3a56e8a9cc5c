"""Motions: moved, voted on, carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from pydantic import ValidationError

from ranvier.chain.calls import (
    Call,
    CloseMotion,
    DissolveSubnet,
    Propose,
    SetHyperparameter,
    SetNetworkParameter,
    Vote,
)
from ranvier.chain.errors import CallRefused
from ranvier.chain.governance import Motion, senate, threshold
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.handlers.subnets import change_hyperparameter, end_subnet
from ranvier.chain.network import NetworkParameters
from ranvier.chain.state import ChainState


def senators(state: ChainState) -> tuple[str, ...]:
    """Hotkeys of the senate as it is now."""
    return senate(state.root.seats, state.ledger.staked, state.network.parameters.senate_seats)


def propose(context: Context, call: Propose, coldkey: str) -> None:
    """Open a motion."""
    state, parameters = context.state, context.state.network.parameters
    if coldkey not in state.governance.committee:
        refuse(call, "NotMember", f"{coldkey} is not on the committee")
    if any(motion.action == call.action for motion in state.governance.motions.values()):
        refuse(call, "DuplicateProposal", "the same is moved already")
    if len(state.governance.motions) >= parameters.most_motions:
        refuse(call, "TooManyProposals", f"{parameters.most_motions} motions are open; close one")
    number, ends = state.governance.moved, context.block + parameters.motion_life
    state.governance.motions[number] = Motion(number, coldkey, call.action, ends)
    state.governance.moved += 1
    state.touch("governance/", f"motion/{number}")
    context.tell("Proposed", motion=number, proposer=coldkey, action=call.action.call, ends=ends)


def vote(context: Context, call: Vote, coldkey: str) -> None:
    """Count a senator's vote."""
    state, motion = context.state, _motion(context, call, call.motion)
    owner = state.ledger.owners.get(call.hotkey)
    if owner != coldkey:
        refuse(call, "NonAssociatedColdKey", f"{call.hotkey} belongs to {owner or 'nobody'}")
    if call.hotkey not in senators(state):
        refuse(call, "NotSenateMember", f"{call.hotkey} has no seat in the senate; it is for root's largest")
    if context.block > motion.ends:
        refuse(call, "VotingPeriodEnded", f"it was open until block {motion.ends}")
    if call.hotkey in (motion.ayes if call.approve else motion.nays):
        refuse(call, "DuplicateVote", "this vote is counted already")
    motion.vote(call.hotkey, approve=call.approve)
    state.touch(f"motion/{motion.number}")
    context.tell("Voted", motion=motion.number, hotkey=call.hotkey, approve=call.approve)


def close(context: Context, call: CloseMotion, coldkey: str) -> None:
    """Count the votes of those who are senators now, and act on them."""
    state, motion = context.state, _motion(context, call, call.motion)
    voices = senators(state)
    if coldkey not in state.governance.committee and coldkey not in {
        state.ledger.owners[hot] for hot in voices
    }:
        refuse(call, "NotMember", f"{coldkey} is neither on the committee nor in the senate")
    ayes, nays = (sum(hot in voices for hot in side) for side in (motion.ayes, motion.nays))
    needed = threshold(len(voices))
    carried, lost = ayes >= needed, nays > len(voices) - needed or context.block > motion.ends
    if not carried and not lost:
        refuse(
            call,
            "TooEarlyToCloseProposal",
            f"{ayes} for, {nays} against, {needed} needed; open to block {motion.ends}",
        )
    del state.governance.motions[motion.number]
    state.touch(f"motion/{motion.number}")
    context.tell("MotionClosed", motion=motion.number, carried=carried, ayes=ayes, nays=nays)
    if carried:
        _carry_out(context, motion)


def _carry_out(context: Context, motion: Motion) -> None:
    """As the chain's root. What it cannot do is told; the motion is closed all the same."""
    try:
        ACTIONS[type(motion.action)](context, motion.action)
    except CallRefused as refusal:
        context.tell("MotionFailed", motion=motion.number, error=refusal.name, message=refusal.message)
    else:
        context.tell("MotionExecuted", motion=motion.number, action=motion.action.call)


def _set_network_parameter(context: Context, action: SetNetworkParameter) -> None:
    before = context.state.network.parameters
    try:
        after = NetworkParameters.model_validate({**before.model_dump(), action.name: action.value})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        refuse(action, "ValueNotInBounds", f"{action.name}: {first['msg']}")
    if after.alpha != before.alpha:
        refuse(action, "ValueNotInBounds", "a chain has alpha from its genesis on, or never")
    context.state.network.parameters = after
    context.state.touch("network/")
    context.tell("NetworkParameterSet", name=action.name, value=action.value)


def _set_hyperparameter(context: Context, action: SetHyperparameter) -> None:
    change_hyperparameter(context, action, context.subnet(action, action.netuid))


def _dissolve_subnet(context: Context, action: DissolveSubnet) -> None:
    context.subnet(action, action.netuid)
    end_subnet(context, action.netuid)


ACTIONS: Mapping[type, Callable[[Context, Any], None]] = {
    SetNetworkParameter: _set_network_parameter,
    SetHyperparameter: _set_hyperparameter,
    DissolveSubnet: _dissolve_subnet,
}


def _motion(context: Context, call: Vote | CloseMotion, number: int) -> Motion:
    motion = context.state.governance.motions.get(number)
    if motion is None:
        listed = ", ".join(map(str, context.state.governance.motions)) or "none"
        refuse(call, "ProposalMissing", f"there is no open motion {number}; open: {listed}")
    return motion


def _nobody(context: Context, call: Call, signer: str) -> NoReturn:
    refuse(call, "BadOrigin", "only the chain's root does this: propose it as a motion")


HANDLERS: Mapping[type, Handler] = {
    Propose: propose,
    Vote: vote,
    CloseMotion: close,
    SetNetworkParameter: _nobody,
}
