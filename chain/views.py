"""What readers get to see of the state, as the public models."""

from __future__ import annotations

from ranvier.chain.errors import NotFound
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.models import Metagraph, Neuron, SubnetInfo, WeightCommit
from ranvier.chain.policies import known_shares
from ranvier.chain.state import ChainState, Row, SubnetState


def subnet_of(state: ChainState, netuid: int) -> SubnetState:
    """The subnet. Raises `NotFound` listing those there are."""
    try:
        return state.subnets[netuid]
    except KeyError:
        known = ", ".join(f"{s.netuid} ({s.name})" for s in state.subnets.values()) or "none"
        raise NotFound(f"there is no subnet {netuid}; this chain has {known}") from None


def metagraph(state: ChainState, netuid: int) -> Metagraph:
    """All neurons of a subnet at the newest block."""
    subnet = subnet_of(state, netuid)
    return Metagraph(
        netuid=netuid,
        name=subnet.name,
        block=state.head.number,
        block_hash=state.head.hash,
        tempo=subnet.hyperparameters.tempo,
        last_step=subnet.last_step,
        neurons=tuple(_neuron(state, subnet, uid) for uid in range(len(subnet.slots))),
    )


def _neuron(state: ChainState, subnet: SubnetState, uid: int) -> Neuron:
    slot = subnet.slots[uid]
    return Neuron(
        uid=uid,
        hotkey=slot.hotkey,
        coldkey=state.ledger.owners[slot.hotkey],
        stake=state.stake_on(subnet, slot.hotkey),
        active=slot.active,
        validator_permit=slot.permit,
        last_update=slot.last_update,
        registered_at=slot.registered_at,
        rank=slot.rank,
        trust=slot.trust,
        validator_trust=slot.validator_trust,
        consensus=slot.consensus,
        incentive=slot.incentive,
        dividends=slot.dividends,
        emission=slot.emission,
        axon=slot.axon,
    )


def subnets(state: ChainState) -> tuple[SubnetInfo, ...]:
    """All subnets by netuid."""
    shares = known_shares(state)
    total = sum(shares.values())
    return tuple(
        SubnetInfo(
            netuid=netuid,
            name=subnet.name,
            owner=subnet.owner,
            tempo=subnet.hyperparameters.tempo,
            neurons=len(subnet.slots),
            max_neurons=subnet.hyperparameters.max_allowed_uids,
            emission_share=shares.get(netuid, 0) / total if total else 0.0,
            burn=subnet.burn,
            created_at=subnet.created_at,
        )
        for netuid, subnet in sorted(state.subnets.items())
    )


def hyperparameters(state: ChainState, netuid: int) -> Hyperparameters:
    """A subnet's settings."""
    return subnet_of(state, netuid).hyperparameters


def commits(state: ChainState, netuid: int, hotkey: str) -> tuple[WeightCommit, ...]:
    """Promised weights of a hotkey whose window has not passed, oldest first."""
    kept = subnet_of(state, netuid).commits.get(hotkey, ())
    return tuple(commit for commit in kept if commit.last_reveal > state.head.number)


def weights(state: ChainState, netuid: int) -> dict[int, Row]:
    """Weight rows as stored."""
    return {uid: dict(row) for uid, row in sorted(subnet_of(state, netuid).weights.items())}


def bonds(state: ChainState, netuid: int) -> dict[int, Row]:
    """Bond rows as stored."""
    return {uid: dict(row) for uid, row in sorted(subnet_of(state, netuid).bonds.items())}
