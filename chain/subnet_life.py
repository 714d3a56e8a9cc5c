"""What a new subnet costs, which one gives way to it, and how one ends."""

from __future__ import annotations

from ranvier.chain.alpha import close_market, pay_alpha
from ranvier.chain.network import NetworkState
from ranvier.chain.payment import pay
from ranvier.chain.policies import known_shares, moving_prices
from ranvier.chain.pricing import lock_cost
from ranvier.chain.rules import Rules
from ranvier.chain.state import ChainState, SubnetState


def lock_now(network: NetworkState, block: int) -> int:
    """Rao to lock for a subnet that is created in this block."""
    parameters = network.parameters
    return lock_cost(
        network.last_lock, network.founded_at, block, parameters.lock_minimum, parameters.lock_interval
    )


def weakest(state: ChainState, block: int) -> int | None:
    """The subnet past its immunity that does worst, of equals the oldest; None where all are immune.

    The one with the least emission; with alpha the one with the lowest moving price.
    """
    parameters = state.network.parameters
    shares, immunity = known_shares(state), parameters.subnet_immunity
    if parameters.alpha:
        shares = moving_prices(state)
    settled = [
        (shares.get(netuid, 0), subnet.created_at, netuid)
        for netuid, subnet in state.subnets.items()
        if block - subnet.created_at >= immunity
    ]
    return min(settled)[2] if settled else None


def dissolve(state: ChainState, rules: Rules, netuid: int) -> int:
    """Take a subnet away with all that is said of it; returns the rao of its lock, which its owner gets back.

    With alpha its holders get the pool's TAO instead. What its last epoch gave is still paid; what was gathered for
    the next is never made. Stakes of TAO stay on their hotkeys.
    """
    subnet = state.subnets.pop(netuid)
    pay_loaded(state, rules, subnet)
    paid_out = 0 if subnet.market is None else close_market(state, subnet)
    records = ["", "families", "standing", "bonds", "loaded"]
    records += [f"slot/{uid}" for uid in range(len(subnet.slots))]
    for part in ("weights", "commits"):
        records += [f"{part}/{key}" for key in getattr(subnet, part)]
    state.touch(*(f"subnet/{netuid}/{record}" for record in records), *subnet.changed)
    for seat in state.root.seats:
        seat.weights.pop(netuid, None)
    state.root.shares.pop(netuid, None)
    state.touch("root/")
    # Whoever has the number next is not held up by what was done on this one.
    state.forget_paces([(kind, key) for kind, key in state.network.paces if key.startswith(f"{netuid}:")])
    return paid_out + state.ledger.unlock(netuid, subnet.owner)


def pay_loaded(state: ChainState, rules: Rules, subnet: SubnetState) -> None:
    """What the subnet's last epoch gave, to whom it gave it."""
    for payment in subnet.loaded:
        take = rules.take(state, payment.hotkey)
        if subnet.market is None:
            pay(state.ledger, payment, take)
        else:
            pay_alpha(state, subnet, payment, take)
