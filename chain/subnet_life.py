"""What a new subnet costs, which one gives way to it, and how one ends."""

from __future__ import annotations

from ranvier.chain.network import NetworkState
from ranvier.chain.payment import pay
from ranvier.chain.policies import known_shares
from ranvier.chain.pricing import lock_cost
from ranvier.chain.rules import Rules
from ranvier.chain.state import ChainState


def lock_now(network: NetworkState, block: int) -> int:
    """Rao to lock for a subnet that is created in this block."""
    parameters = network.parameters
    return lock_cost(
        network.last_lock, network.founded_at, block, parameters.lock_minimum, parameters.lock_interval
    )


def weakest(state: ChainState, block: int) -> int | None:
    """The subnet past its immunity with the least emission, of equals the oldest; None where all are immune."""
    shares, immunity = known_shares(state), state.network.parameters.subnet_immunity
    settled = [
        (shares.get(netuid, 0), subnet.created_at, netuid)
        for netuid, subnet in state.subnets.items()
        if block - subnet.created_at >= immunity
    ]
    return min(settled)[2] if settled else None


def dissolve(state: ChainState, rules: Rules, netuid: int) -> int:
    """Take a subnet away with all that is said of it; returns the rao of its lock, which its owner gets back.

    What its last epoch gave is still paid; what was gathered for the next is never made. Stakes stay on their hotkeys.
    """
    subnet = state.subnets.pop(netuid)
    for payment in subnet.loaded:
        pay(state.ledger, payment, rules.take(state, payment.hotkey))
    records = ["", "families", *(f"slot/{uid}" for uid in range(len(subnet.slots)))]
    for part in ("weights", "bonds", "commits"):
        records += [f"{part}/{key}" for key in getattr(subnet, part)]
    state.touch(*(f"subnet/{netuid}/{record}" for record in records), *subnet.changed)
    for seat in state.root.seats:
        seat.weights.pop(netuid, None)
    state.root.shares.pop(netuid, None)
    state.touch("root/")
    # Whoever has the number next is not held up by what was done on this one.
    state.forget_paces([(kind, key) for kind, key in state.network.paces if key.startswith(f"{netuid}:")])
    return state.ledger.unlock(netuid, subnet.owner)
