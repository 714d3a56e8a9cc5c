"""Hotkeys that others may stake to, and what they take for it."""

from __future__ import annotations

from collections.abc import Mapping

from ranvier.chain.calls import BecomeDelegate, DecreaseTake, IncreaseTake
from ranvier.chain.handlers.context import Context, Handler, refuse


def become_delegate(context: Context, call: BecomeDelegate, coldkey: str) -> None:
    """Open a hotkey of the signer to everybody's stake."""
    _check_owner(context, call, coldkey)
    if call.hotkey in context.state.ledger.takes:
        refuse(call, "HotKeyAlreadyDelegate", f"{call.hotkey} is one; change its take instead")
    _check_take(context, call)
    parameters = context.state.network.parameters
    _check_pace(context, call, "delegate", parameters.delegate_interval)
    context.state.ledger.set_take(call.hotkey, call.take)
    context.state.pace("delegate", call.hotkey, context.block)
    context.tell("DelegateAdded", hotkey=call.hotkey, coldkey=coldkey, take=call.take)


def increase_take(context: Context, call: IncreaseTake, coldkey: str) -> None:
    """Take more, once in an interval."""
    before, parameters = _take_of(context, call, coldkey), context.state.network.parameters
    if call.take <= before:
        refuse(call, "DelegateTakeTooLow", f"the take is {before}; name a larger one")
    _check_take(context, call)
    _check_pace(context, call, "take", parameters.take_interval)
    context.state.pace("take", call.hotkey, context.block)
    _set_take(context, call, before)


def decrease_take(context: Context, call: DecreaseTake, coldkey: str) -> None:
    """Take less."""
    before = _take_of(context, call, coldkey)
    if call.take >= before:
        refuse(call, "DelegateTakeTooLow", f"the take is {before}; name a smaller one")
    _check_take(context, call)
    _set_take(context, call, before)


def _take_of(context: Context, call: IncreaseTake | DecreaseTake, coldkey: str) -> int:
    _check_owner(context, call, coldkey)
    take = context.rules.take(context.state, call.hotkey)
    if take is None:
        refuse(call, "HotKeyNotDelegate", f"{call.hotkey} is no delegate; make it one with BecomeDelegate")
    return take


def _set_take(context: Context, call: IncreaseTake | DecreaseTake, before: int) -> None:
    context.state.ledger.set_take(call.hotkey, call.take)
    name = "TakeIncreased" if call.take > before else "TakeDecreased"
    context.tell(name, hotkey=call.hotkey, take=call.take, before=before)


def _check_owner(context: Context, call: BecomeDelegate | IncreaseTake | DecreaseTake, coldkey: str) -> None:
    owner = context.state.ledger.owners.get(call.hotkey)
    if owner is None:
        refuse(call, "HotKeyAccountNotExists", f"{call.hotkey} was never registered")
    if owner != coldkey:
        refuse(call, "NonAssociatedColdKey", f"{call.hotkey} belongs to {owner}")


def _check_take(context: Context, call: BecomeDelegate | IncreaseTake | DecreaseTake) -> None:
    parameters = context.state.network.parameters
    if call.take < parameters.min_take:
        refuse(call, "DelegateTakeTooLow", f"at least {parameters.min_take} of 65535")
    if call.take > parameters.max_take:
        refuse(call, "DelegateTakeTooHigh", f"at most {parameters.max_take} of 65535")


def _check_pace(
    context: Context, call: BecomeDelegate | IncreaseTake | DecreaseTake, kind: str, interval: int
) -> None:
    wait = context.state.network.waits(kind, call.hotkey, context.block, interval)
    if wait:
        refuse(call, "DelegateTxRateLimitExceeded", f"once per {interval} blocks; again in {wait}")


HANDLERS: Mapping[type, Handler] = {
    BecomeDelegate: become_delegate,
    IncreaseTake: increase_take,
    DecreaseTake: decrease_take,
}
