"""How a block's emission is divided between subnets: one interface, a policy for each rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ranvier.chain.market import SHARE_BITS
from ranvier.chain.network import EmissionPolicy
from ranvier.chain.root import proportional_shares, sigmoid_shares, standings
from ranvier.chain.schedule import epoch_due_2024
from ranvier.chain.state import ChainState, SubnetState

ROOT: Final = 0
Policy = Callable[[ChainState], dict[int, int]]
"""Relative shares by netuid, integers of any scale; nothing is handed out where all are 0."""


def _fixed(state: ChainState) -> dict[int, int]:
    return {netuid: subnet.share for netuid, subnet in state.subnets.items()}


def _sigmoid(state: ChainState) -> dict[int, int]:
    parameters = state.network.parameters
    found = standings(state.root.seats, state.ledger.staked, state.subnets)
    return sigmoid_shares(found, parameters.root_kappa, parameters.root_rho)


def _proportional(state: ChainState) -> dict[int, int]:
    return proportional_shares(standings(state.root.seats, state.ledger.staked, state.subnets))


def moving_prices(state: ChainState) -> dict[int, int]:
    """The moving price of each subnet's alpha, as its policy's shares."""
    found = ((netuid, subnet.market) for netuid, subnet in state.subnets.items())
    return {netuid: market.moving_price for netuid, market in found if market is not None}


def _price(state: ChainState) -> dict[int, int]:
    """The moving price, less the part that a subnet's last epoch withheld from its miners; where that leaves none, all.

    Only subnets that run count for whether any is left.
    """
    prices, left = moving_prices(state), dict[int, int]()
    for netuid, subnet in state.subnets.items():
        if subnet.market is not None:
            left[netuid] = prices[netuid] * ((1 << SHARE_BITS) - subnet.market.withheld) >> SHARE_BITS
    return left if any(left[netuid] for netuid in left if runs(state, state.subnets[netuid])) else prices


def _flow(state: ChainState) -> dict[int, int]:
    """TAO that flowed in on average, power 1; a subnet that it flowed out of gets nothing."""
    found = ((netuid, subnet.market) for netuid, subnet in state.subnets.items())
    return {netuid: max(0, market.moving_flow) for netuid, market in found if market is not None}


POLICIES: Final[Mapping[EmissionPolicy, Policy]] = MappingProxyType(
    {"fixed": _fixed, "root": _sigmoid, "proportional": _proportional, "price": _price, "flow": _flow}
)
BY_ROOT: Final[frozenset[EmissionPolicy]] = frozenset({"root", "proportional"})
"""Policies whose division is made at root's tempo and holds until it is made again."""


def divide_emission(state: ChainState, block: int) -> dict[int, int]:
    """Relative shares by netuid for this block, in which root may divide anew; called once in each block."""
    parameters = state.network.parameters
    if parameters.emission in BY_ROOT and epoch_due_2024(block, ROOT, parameters.root_tempo):
        state.root.shares = POLICIES[parameters.emission](state)
        state.touch("root/")
    return known_shares(state)


def known_shares(state: ChainState) -> dict[int, int]:
    """Relative shares by netuid as they hold now.

    Before anybody with stake has weighed a subnet, emission goes by the subnets' own shares: on a chain where
    nothing was mined before nobody has stake yet, and nobody ever would.
    The same holds while no TAO flows into any subnet's pool. Subnets that do not run have no share.
    """
    policy = state.network.parameters.emission
    if policy in BY_ROOT:
        kept = {netuid: share for netuid, share in state.root.shares.items() if netuid in state.subnets}
    else:
        kept = POLICIES[policy](state)
    running = {netuid for netuid, subnet in state.subnets.items() if runs(state, subnet)}
    kept = {netuid: share for netuid, share in kept.items() if netuid in running}
    if any(kept.values()):
        return kept
    return {netuid: share for netuid, share in _fixed(state).items() if netuid in running}


def runs(state: ChainState, subnet: SubnetState) -> bool:
    """Whether a subnet has a part of emission: its owner started it, and it is open or need not be."""
    opened = state.network.parameters.emission_when_closed or subnet.hyperparameters.registration_allowed
    return subnet.starts_at is not None and opened
