"""The state of block 0."""

from __future__ import annotations

from ranvier.chain.alpha import open_market
from ranvier.chain.genesis import Genesis, GenesisSubnet
from ranvier.chain.ledger import Ledger
from ranvier.chain.models import Block
from ranvier.chain.network import NetworkState
from ranvier.chain.schedule import first_step_head
from ranvier.chain.state import ChainState, Slot, SubnetState

_MILLION = 1_000_000


def first_state(genesis: Genesis) -> ChainState:
    """What a chain with this genesis starts from; the hash of block 0 is the genesis hash."""
    ledger = Ledger(genesis.existential_deposit)
    for ss58, amount in genesis.balances.items():
        ledger.mint(ss58, amount)
    network = NetworkState(genesis.network, last_lock=genesis.network.lock_minimum)
    state = ChainState(Block(0, genesis.hash(), genesis.started_at), ledger, network)
    state.governance.committee = genesis.committee
    for netuid, born in enumerate(genesis.subnets, start=1):
        state.subnets[netuid] = _subnet(netuid, born, genesis.era)
        for neuron in born.neurons:
            ledger.own(neuron.hotkey, neuron.coldkey)
            if neuron.stake:
                # A hotkey may work on several subnets: its stakes add up.
                ledger.mint_stake(neuron.hotkey, neuron.stake)
        if genesis.network.alpha:
            ledger.fund_pool(netuid, born.pool)
            open_market(state, state.subnets[netuid], born.pool, known=True)
    for subnet in state.subnets.values():
        _permit(subnet, [state.stake_on(subnet, slot.hotkey) for slot in subnet.slots], genesis.era)
    return state


def new_subnet(netuid: int, name: str, owner: str, genesis: Genesis, block: int) -> SubnetState:
    """One that is created in `block`, with the settings and the share of a new one, and nobody on it."""
    subnet = _subnet(
        netuid, GenesisSubnet(name=name, owner=owner, hyperparameters=genesis.new_subnet), genesis.era, block
    )
    subnet.adjusted_at = block
    if genesis.era == "y2":
        subnet.starts_at = None
    return subnet


def _subnet(netuid: int, born: GenesisSubnet, era: str, block: int = 0) -> SubnetState:
    settings = born.hyperparameters
    subnet = SubnetState(
        netuid=netuid,
        name=born.name,
        owner=born.owner,
        share=round(born.emission_share * _MILLION),
        created_at=block,
        hyperparameters=settings,
        burn=min(max(settings.burn, settings.min_burn), settings.max_burn),
        difficulty=min(max(settings.difficulty, settings.min_difficulty), settings.max_difficulty),
        counted_from=first_step_head(block, netuid, settings.tempo) if era == "y2" else block,
    )
    for uid, neuron in enumerate(born.neurons):
        subnet.put(uid, Slot(neuron.hotkey, registered_at=0, last_update=0))
    subnet.touch("", "families", "standing", "bonds")
    return subnet


def _permit(subnet: SubnetState, stakes: list[int], era: str) -> None:
    """The top of the stake holds permits from the start, as after an epoch; of equals the higher uid."""
    by_stake = sorted(range(len(stakes)), key=lambda uid: stakes[uid], reverse=False)
    losers = by_stake[: max(0, len(stakes) - subnet.hyperparameters.max_allowed_validators)]
    for uid, slot in enumerate(subnet.slots):
        slot.permit = uid not in losers and (era == "2024" or stakes[uid] > 0)
