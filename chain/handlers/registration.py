"""Places on subnets: bought or worked for, and given to the next one."""

from __future__ import annotations

from collections.abc import Mapping

from ranvier.chain.alpha import buy, quote_buy, remove
from ranvier.chain.calls import Register, RegisterWork
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.pruning import PRUNED_SCORE
from ranvier.chain.state import Slot, SubnetState
from ranvier.chain.work import LIFE, challenge, is_enough, seal


def register(context: Context, call: Register, coldkey: str) -> None:
    """Burn the price and give the hotkey a uid, on a full subnet that of the neuron which gives way."""
    subnet = _registrable(context, call, coldkey)
    state, price = context.state, subnet.burn
    _burn(context, subnet, coldkey, price)
    state.ledger.own(call.hotkey, coldkey)
    uid, old = place(context, subnet, call.hotkey)
    subnet.recycled += price
    context.rules.registered(subnet, by_work=False)
    names = {"hotkey": call.hotkey, "coldkey": coldkey, "replaced": old}
    context.tell("NeuronRegistered", netuid=call.netuid, uid=uid, **names, burn=price)


def register_work(context: Context, call: RegisterWork, hotkey: str) -> None:
    """Give the signing hotkey a uid for work that nobody has shown before."""
    state, block = context.state, context.block
    subnet = _open_subnet(context, call, hotkey)
    if not subnet.hyperparameters.work_allowed:
        refuse(call, "SubNetRegistrationDisabled", f"subnet {call.netuid} takes no work; its places are sold")
    known = {
        one.number: one.hash for one in state.recent if one.number > block - 1 - LIFE[context.genesis.era]
    }
    if call.block not in known:
        refuse(call, "InvalidWorkBlock", f"work on one of the blocks {sorted(known)}, not {call.block}")
    last = state.network.paces.get(("work", hotkey))
    if last is not None and call.block <= last:
        refuse(
            call, "InvalidWorkBlock", f"{hotkey} got a place for work on block {last}; work on a newer one"
        )
    if call.work in state.spent:
        refuse(call, "WorkRepeated", "this work got a place already")
    if not is_enough(context.genesis.era, bytes.fromhex(call.work), subnet.difficulty):
        refuse(call, "InvalidDifficulty", f"the difficulty is {subnet.difficulty}")
    given = challenge(context.genesis.era, call.netuid, known[call.block], hotkey, call.coldkey)
    if seal(context.genesis.era, given, call.nonce).hex() != call.work:
        refuse(call, "InvalidSeal", "the work is not that of this block, hotkey and nonce")
    _check_ownership(context, call, hotkey, call.coldkey)
    state.ledger.own(hotkey, call.coldkey)
    state.spent[call.work] = call.block
    state.touch(f"work/{call.work}")
    if context.genesis.era == "y2":
        state.pace("work", hotkey, call.block)
    uid, old = place(context, subnet, hotkey)
    context.rules.registered(subnet, by_work=True)
    names = {"hotkey": hotkey, "coldkey": call.coldkey, "replaced": old}
    context.tell("NeuronRegistered", netuid=call.netuid, uid=uid, **names, burn=0, work=call.work)


def place(context: Context, subnet: SubnetState, hotkey: str) -> tuple[int, str | None]:
    """Give a hotkey its uid; returns it and the hotkey that gave way, whose stake goes back where there is no alpha."""
    slot = Slot(hotkey, registered_at=context.block, last_update=context.block)
    uid, old = len(subnet.slots), None
    if uid == subnet.hyperparameters.max_allowed_uids:
        uid = _evict(context, subnet)
        slot.pruning, old = subnet.slots[uid].pruning, subnet.slots[uid].hotkey
    subnet.put(uid, slot)
    if old is not None:
        let_go(context, old)
    return uid, old


def let_go(context: Context, hotkey: str) -> None:
    """Return the stake on a hotkey that lost its place, where that was its last one; with alpha it stays staked."""
    state = context.state
    if not (state.network.parameters.alpha or state.registered_anywhere(hotkey)):
        for holder, amount in sorted(state.ledger.release(hotkey).items()):
            context.tell("StakeReleased", hotkey=hotkey, coldkey=holder, amount=amount)


def _burn(context: Context, subnet: SubnetState, coldkey: str, price: int) -> None:
    """Burn the price; with alpha it buys some in the pool, which is burned. A pool that can give none burns TAO."""
    state = context.state
    if subnet.market is not None and quote_buy(state, subnet, price):
        state.ledger.pay_pool(coldkey, subnet.netuid, price)
        remove(subnet, buy(state, subnet, price))
    else:
        state.ledger.burn(coldkey, price)


def _registrable(context: Context, call: Register, coldkey: str) -> SubnetState:
    subnet, ledger = _open_subnet(context, call, call.hotkey), context.state.ledger
    if not ledger.can_pay(coldkey, subnet.burn):
        held = ledger.balance(coldkey)
        refuse(call, "NotEnoughBalanceToStake", f"the price is {subnet.burn} rao, {coldkey} has {held}")
    _check_ownership(context, call, call.hotkey, coldkey)
    return subnet


def _open_subnet(context: Context, call: Register | RegisterWork, hotkey: str) -> SubnetState:
    if call.netuid == 0:
        refuse(call, "RegistrationNotPermittedOnRootSubnet", "netuid 0 takes no registrations")
    subnet = context.subnet(call, call.netuid)
    if not subnet.hyperparameters.registration_allowed:
        refuse(call, "SubNetRegistrationDisabled", f"subnet {call.netuid} takes no registrations")
    crowded = context.rules.refuse_registration(subnet, by_work=isinstance(call, RegisterWork))
    if crowded:
        refuse(call, crowded, f"subnet {call.netuid} took enough registrations; try again later")
    full = len(subnet.slots) == subnet.hyperparameters.max_allowed_uids
    if full and context.rules.gives_way(context.state, subnet, context.block) is None:
        refuse(call, "NoNeuronIdAvailable", "no neuron of the subnet may give way now")
    if hotkey in subnet.uids:
        refuse(call, "HotKeyAlreadyRegisteredInSubNet", f"it has uid {subnet.uids[hotkey]}")
    return subnet


def _check_ownership(context: Context, call: Register | RegisterWork, hotkey: str, coldkey: str) -> None:
    if context.state.ledger.owners.get(hotkey, coldkey) != coldkey:
        refuse(call, "NonAssociatedColdKey", "the hotkey belongs to another coldkey; sign with that one")


def _evict(context: Context, subnet: SubnetState) -> int:
    uid = context.rules.gives_way(context.state, subnet, context.block)
    assert uid is not None, "checked before anything was paid"
    if context.genesis.era == "2024":
        subnet.slots[uid].pruning = PRUNED_SCORE  # Not chosen again before an epoch.
    return uid


HANDLERS: Mapping[type, Handler] = {Register: register, RegisterWork: register_work}
