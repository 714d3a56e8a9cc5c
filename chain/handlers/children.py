"""Children chosen, and what they take."""

from __future__ import annotations

from collections.abc import Mapping

from ranvier.chain.calls import SetChildren, SetChildTake
from ranvier.chain.children import WHOLE, Pending
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.state import SubnetState


def set_children(context: Context, call: SetChildren, coldkey: str) -> None:
    """Choose who validates with a hotkey's stake; it counts after the delay."""
    subnet, parameters = _own(context, call, coldkey), context.state.network.parameters
    names = [child for _, child in call.children]
    if len(names) > parameters.max_children:
        refuse(call, "TooManyChildren", f"at most {parameters.max_children}")
    if call.hotkey in names:
        refuse(call, "InvalidChild", "a hotkey is no child of its own")
    if len(set(names)) != len(names):
        refuse(call, "DuplicateChild", "a child is named twice")
    if sum(part for part, _ in call.children) > WHOLE:
        refuse(call, "ProportionOverflow", f"the parts add up to more than the whole, {WHOLE}")
    _check_circle(call, subnet, names)
    _check_pace(context, call, parameters.children_interval)
    subnet.families.pending[call.hotkey] = Pending(call.children, context.block + parameters.children_delay)
    subnet.touch("families")
    context.state.pace(call.call, f"{call.netuid}:{call.hotkey}", context.block)
    since = context.block + parameters.children_delay
    context.tell("SetChildrenScheduled", hotkey=call.hotkey, netuid=call.netuid, since=since, children=names)


def set_child_take(context: Context, call: SetChildTake, coldkey: str) -> None:
    """Say what a child keeps of dividends on others' stake."""
    subnet, most = _own(context, call, coldkey), context.state.network.parameters.max_take
    if call.take > most:
        refuse(call, "InvalidChildkeyTake", f"at most {most} of 65535")
    if call.take > subnet.families.takes.get(call.hotkey, 0):
        _check_pace(context, call, context.state.network.parameters.take_interval)
        context.state.pace(call.call, f"{call.netuid}:{call.hotkey}", context.block)
    subnet.families.takes[call.hotkey] = call.take
    subnet.touch("families")
    context.tell("ChildKeyTakeSet", hotkey=call.hotkey, netuid=call.netuid, take=call.take)


def _own(context: Context, call: SetChildren | SetChildTake, coldkey: str) -> SubnetState:
    subnet, owner = context.subnet(call, call.netuid), context.state.ledger.owners.get(call.hotkey)
    if owner != coldkey:
        refuse(call, "NonAssociatedColdKey", f"{call.hotkey} belongs to {owner or 'nobody'}")
    return subnet


def _check_circle(call: SetChildren, subnet: SubnetState, names: list[str]) -> None:
    """A child that is a parent of this hotkey would hand its stake back."""
    families = subnet.families
    for child in names:
        pending = families.pending.get(child)
        both = (*families.children.get(child, ()), *(pending.children if pending else ()))
        if any(name == call.hotkey for _, name in both):
            refuse(call, "ParentChildCannotBeOnSameHotkey", f"{child} hands its own stake to {call.hotkey}")


def _check_pace(context: Context, call: SetChildren | SetChildTake, interval: int) -> None:
    key = f"{call.netuid}:{call.hotkey}"
    wait = context.state.network.waits(call.call, key, context.block, interval)
    if wait:
        refuse(call, "TxRateLimitExceeded", f"once per {interval} blocks; again in {wait}")


HANDLERS: Mapping[type, Handler] = {SetChildren: set_children, SetChildTake: set_child_take}
