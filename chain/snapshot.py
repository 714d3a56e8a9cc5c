"""What an epoch reads of the state."""

from __future__ import annotations

from ranvier.chain.epoch_input import EpochInput, YumaParams
from ranvier.chain.rules import Rules
from ranvier.chain.sparse import SparseRows
from ranvier.chain.state import ChainState, SubnetState


def snapshot(state: ChainState, rules: Rules, subnet: SubnetState, block: int, emission: int) -> EpochInput:
    """The subnet as it stands in `block`; `emission` is the rao that the epoch hands out."""
    return EpochInput(
        variant=rules.yuma(subnet.hyperparameters),
        block=block,
        last_update=[slot.last_update for slot in subnet.slots],
        registered_at=[slot.registered_at for slot in subnet.slots],
        stake=_stakes(state, subnet),
        permits=[slot.permit for slot in subnet.slots],
        weights=SparseRows.from_dict(subnet.weights),
        bonds=SparseRows.from_dict(subnet.bonds),
        emission=emission,
        params=_params(state, rules, subnet),
        last_step=subnet.last_step,
        commits=_commits(subnet, block),
    )


def _stakes(state: ChainState, subnet: SubnetState) -> list[int]:
    """Rao by uid. Where nothing was mined before nobody has any, and by Yuma nobody ever would: all count alike."""
    stakes = [state.stake_on(subnet, slot.hotkey) for slot in subnet.slots]
    if state.network.parameters.equal_start and not any(stakes):
        return [1] * len(stakes)
    return stakes


def _params(state: ChainState, rules: Rules, subnet: SubnetState) -> YumaParams:
    settings = subnet.hyperparameters
    return YumaParams(
        kappa=settings.kappa,
        activity_cutoff=rules.activity_cutoff(settings),
        max_allowed_validators=settings.max_allowed_validators,
        bonds_moving_average=settings.bonds_moving_average,
        bonds_penalty=settings.bonds_penalty,
        tempo=settings.tempo,
        owner_uid=_owner_uid(state, subnet),
        stake_threshold=settings.weights_min_stake,
        liquid_alpha=settings.liquid_alpha,
        alpha_low=settings.alpha_low,
        alpha_high=settings.alpha_high,
        alpha_sigmoid_steepness=settings.alpha_sigmoid_steepness,
    )


def _owner_uid(state: ChainState, subnet: SubnetState) -> int | None:
    if subnet.owner_hotkey is not None:
        return subnet.uids.get(subnet.owner_hotkey)
    owners = (state.ledger.owners[slot.hotkey] for slot in subnet.slots)
    return next((uid for uid, owner in enumerate(owners) if owner == subnet.owner), None)


def _commits(subnet: SubnetState, block: int) -> dict[int, int]:
    """The block of each uid's earliest promise that can still be shown; none while commit-reveal is off."""
    if not subnet.hyperparameters.commit_reveal:
        return {}
    live = (
        (subnet.uids[hotkey], promise.block)
        for hotkey, promises in subnet.commits.items()
        for promise in promises
        if promise.last_reveal >= block
    )
    earliest: dict[int, int] = {}
    for uid, since in live:
        earliest[uid] = min(since, earliest.get(uid, since))
    return earliest
