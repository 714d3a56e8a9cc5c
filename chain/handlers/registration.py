"""Places on subnets: bought, and given to the next one."""

from __future__ import annotations

from collections.abc import Mapping

from ranvier.chain.calls import Register
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.state import Slot, SubnetState


def register(context: Context, call: Register, coldkey: str) -> None:
    """Burn the price and give the hotkey a uid, on a full subnet that of the neuron which gives way."""
    subnet = _registrable(context, call, coldkey)
    state, price = context.state, subnet.burn
    state.ledger.burn(coldkey, price)
    state.ledger.own(call.hotkey, coldkey)
    uid, old = place(context, subnet, call.hotkey)
    context.rules.registered(subnet)
    context.tell(
        "NeuronRegistered", netuid=call.netuid, uid=uid, hotkey=call.hotkey, replaced=old, burn=price
    )


def place(context: Context, subnet: SubnetState, hotkey: str) -> tuple[int, str | None]:
    """Give a hotkey its uid; returns it and the hotkey that gave way."""
    slot = Slot(hotkey, registered_at=context.block, last_update=context.block)
    uid, old = len(subnet.slots), None
    if uid == subnet.hyperparameters.max_allowed_uids:
        uid = _evict(context, subnet)
        slot.pruning, old = subnet.slots[uid].pruning, subnet.slots[uid].hotkey
    subnet.put(uid, slot)
    if old is not None and not context.state.registered_anywhere(old):
        context.state.ledger.release(old)
    return uid, old


def _registrable(context: Context, call: Register, coldkey: str) -> SubnetState:
    if call.netuid == 0:
        refuse(call, "RegistrationNotPermittedOnRootSubnet", "netuid 0 takes no registrations")
    subnet, ledger = context.subnet(call, call.netuid), context.state.ledger
    if not subnet.hyperparameters.registration_allowed:
        refuse(call, "SubNetRegistrationDisabled", f"subnet {call.netuid} takes no registrations")
    crowded = context.rules.refuse_registration(subnet)
    if crowded:
        refuse(call, crowded, f"subnet {call.netuid} took enough registrations; try again later")
    if call.hotkey in subnet.uids:
        refuse(call, "HotKeyAlreadyRegisteredInSubNet", f"it has uid {subnet.uids[call.hotkey]}")
    if not ledger.can_pay(coldkey, subnet.burn):
        held = ledger.balance(coldkey)
        refuse(call, "NotEnoughBalanceToStake", f"the price is {subnet.burn} rao, {coldkey} has {held}")
    if ledger.owners.get(call.hotkey, coldkey) != coldkey:
        refuse(call, "NonAssociatedColdKey", "the hotkey belongs to another coldkey; sign with that one")
    return subnet


def _evict(context: Context, subnet: SubnetState) -> int:
    uid = context.rules.evict(subnet, context.block)
    assert uid is not None, "a full subnet has a neuron to give way: nobody is immortal here"
    return uid


HANDLERS: Mapping[type, Handler] = {Register: register}
