"""Seats and weights of the root network."""

from __future__ import annotations

from collections.abc import Mapping

from ranvier.chain.calls import RootRegister, SetRootWeights
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.handlers.registration import let_go
from ranvier.chain.root import Seat
from ranvier.chain.weights import max_upscale


def root_register(context: Context, call: RootRegister, coldkey: str) -> None:
    """A free seat, or that of who has the least stake, for one who has more. The hotkey becomes a delegate.

    Who loses a seat, and has no other place, has its stake returned, as on any network.
    """
    state, root = context.state, context.state.root
    if not state.registered_anywhere(call.hotkey):
        refuse(
            call, "HotKeyNotRegisteredInSubNet", f"{call.hotkey} has no uid on any subnet; register it first"
        )
    owner = state.ledger.owners[call.hotkey]
    if owner != coldkey:
        refuse(call, "NonAssociatedColdKey", f"{call.hotkey} belongs to {owner}")
    if root.seat_of(call.hotkey) is not None:
        refuse(call, "HotKeyAlreadyRegisteredInSubNet", "it has a seat already")
    seat, replaced = Seat(call.hotkey, context.block), None
    if len(root.seats) < state.network.parameters.root_seats:
        root.seats.append(seat)
    else:
        uid = min(range(len(root.seats)), key=lambda uid: (state.ledger.staked(root.seats[uid].hotkey), uid))
        replaced = root.seats[uid].hotkey
        least, own = state.ledger.staked(replaced), state.ledger.staked(call.hotkey)
        if own <= least:
            refuse(call, "StakeTooLowForRoot", f"it has {own} rao, the least of root has {least}")
        root.seats[uid] = seat
        let_go(context, replaced)
    if call.hotkey not in state.ledger.takes:
        state.ledger.set_take(call.hotkey, state.network.parameters.default_take)
    state.touch("root/")
    context.tell("RootRegistered", hotkey=call.hotkey, replaced=replaced)


def set_root_weights(context: Context, call: SetRootWeights, signer: str) -> None:
    """Replace the hotkey's row of weights over subnets."""
    state, interval = context.state, context.state.network.parameters.root_weights_interval
    owner = state.ledger.owners.get(call.hotkey)
    if signer not in (owner, call.hotkey):
        refuse(call, "NonAssociatedColdKey", f"{call.hotkey} belongs to {owner or 'nobody'}")
    if len(call.netuids) != len(call.values):
        refuse(call, "WeightVecNotEqualSize", f"{len(call.netuids)} netuids, {len(call.values)} values")
    seat = state.root.seat_of(call.hotkey)
    if seat is None:
        refuse(
            call,
            "HotKeyNotRegisteredInSubNet",
            f"{call.hotkey} has no seat on root; take one with RootRegister",
        )
    if seat.last_update and context.block < seat.last_update + interval:
        refuse(call, "SettingWeightsTooFast", f"last update {seat.last_update}, once per {interval} blocks")
    if len(set(call.netuids)) != len(call.netuids):
        refuse(call, "DuplicateUids", "a netuid is named twice")
    unknown = sorted(set(call.netuids) - state.subnets.keys())
    if unknown:
        refuse(call, "UidVecContainInvalidOne", f"there is no subnet {unknown[0]}")
    if not any(call.values):
        refuse(call, "WeightVecLengthIsLow", "give at least one subnet a weight")
    seat.weights = dict(zip(call.netuids, max_upscale(call.values), strict=True))
    seat.last_update = context.block
    state.touch("root/")
    context.tell("RootWeightsSet", hotkey=call.hotkey, netuids=list(call.netuids))


HANDLERS: Mapping[type, Handler] = {RootRegister: root_register, SetRootWeights: set_root_weights}
