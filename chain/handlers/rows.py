"""Weights set, promised and shown: the chain's checks in its order, then the change."""

from __future__ import annotations

from typing import Final, NoReturn

from ranvier.chain.calls import CommitSealed, CommitWeights, RevealWeights, SetWeights
from ranvier.chain.commitments import commit_hash
from ranvier.chain.errors import CallRefused
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.models import WeightCommit
from ranvier.chain.rules import Rules
from ranvier.chain.state import ChainState, SubnetState
from ranvier.chain.weights import WeightsCall, max_upscale, refuse_weights

MOST_COMMITS: Final = 10
"""Promises of one hotkey that may be open at a time."""


def set_weights(state: ChainState, call: SetWeights, hotkey: str, block: int) -> int:
    """Store a row; returns the sender's uid. Raises `CallRefused`."""
    subnet = state.subnets.get(call.netuid)
    if subnet is not None and subnet.hyperparameters.commit_reveal:
        _refuse(call, "CommitRevealEnabled", "this subnet takes weights by CommitWeights and RevealWeights")
    uid = _store(state, call, hotkey, block, limited=True)
    state.subnets[call.netuid].slots[uid].last_update = block
    return uid


def commit_weights(state: ChainState, rules: Rules, call: CommitWeights, hotkey: str, block: int) -> int:
    """Take a promise. Returns the sender's uid. Raises `CallRefused`."""
    subnet = _open_subnet(state, call)
    promise = WeightCommit(call.commit_hash, block, *rules.reveal_window(subnet, block))
    return promise_row(state, call, hotkey, block, promise)


def promise_row(
    state: ChainState, call: CommitWeights | CommitSealed, hotkey: str, block: int, promise: WeightCommit
) -> int:
    """Keep a promise of either form; it counts as the sender's update. Returns its uid. Raises `CallRefused`."""
    subnet = _open_subnet(state, call)
    slot = subnet.slot_of(hotkey)
    if slot is None:
        _refuse(call, "HotKeyNotRegisteredInSubNet", f"register {hotkey} on subnet {call.netuid} first")
    settings = subnet.hyperparameters
    if slot.last_update and block < slot.last_update + settings.weights_rate_limit:
        wait = f"last update {slot.last_update}, once per {settings.weights_rate_limit} blocks"
        _refuse(call, "CommittingWeightsTooFast", wait)
    if state.stake_on(subnet, hotkey) < settings.weights_min_stake:
        _refuse(call, "NotEnoughStakeToSetWeights", f"{settings.weights_min_stake} rao are needed")
    # Expired locked rows stay for the next epoch, which tells of them.
    kept = tuple(old for old in subnet.commits.get(hotkey, ()) if old.last_reveal >= block or old.sealed)
    hashed = sum(not old.sealed for old in kept)
    if hashed >= MOST_COMMITS and not promise.sealed:
        _refuse(call, "TooManyUnrevealedCommits", f"{hashed} promises are open; reveal them first")
    _keep(subnet, hotkey, (*kept, promise))
    slot.last_update = block
    subnet.touch(f"slot/{subnet.uids[hotkey]}")
    return subnet.uids[hotkey]


def drop_promise(subnet: SubnetState, hotkey: str, promise: WeightCommit) -> None:
    """Forget one promise."""
    _keep(subnet, hotkey, tuple(old for old in subnet.commits[hotkey] if old is not promise))


def show_row(state: ChainState, row: SetWeights, hotkey: str, block: int) -> int:
    """Store a row that the chain has opened itself; returns the uid. Raises `CallRefused`."""
    return _store(state, row, hotkey, block, limited=False, sent_as=CommitSealed.call)


def reveal_weights(state: ChainState, call: RevealWeights, hotkey: str, block: int) -> int:
    """Store the row behind a promise and drop it with all older ones. Returns the uid. Raises `CallRefused`."""
    subnet = _open_subnet(state, call)
    promises = subnet.commits.get(hotkey, ())
    if not promises:
        _refuse(call, "NoWeightsCommitFound", f"{hotkey} has promised nothing on subnet {call.netuid}")
    shown = commit_hash(hotkey, call.netuid, call.uids, call.values, call.salt, call.version_key)
    place = next((index for index, old in enumerate(promises) if old.hash == shown), None)
    if place is None:
        _refuse(call, "InvalidRevealCommitHashNotMatch", f"no promise has the hash {shown}")
    promise = promises[place]
    if block > promise.last_reveal:
        _refuse(call, "ExpiredWeightCommit", f"it could be revealed up to block {promise.last_reveal}")
    if block < promise.first_reveal:
        _refuse(call, "RevealTooEarly", f"it can be revealed from block {promise.first_reveal}")
    row = SetWeights(call.netuid, call.uids, call.values, call.version_key)
    uid = _store(state, row, hotkey, block, limited=False, sent_as=call.call)
    _keep(subnet, hotkey, promises[place + 1 :])
    return uid


def _open_subnet(state: ChainState, call: CommitWeights | CommitSealed | RevealWeights) -> SubnetState:
    subnet = state.subnets.get(call.netuid)
    if subnet is None:
        _refuse(call, "SubNetworkDoesNotExist", f"there is no subnet {call.netuid}")
    if not subnet.hyperparameters.commit_reveal:
        _refuse(call, "CommitRevealDisabled", "this subnet takes weights in the open, by SetWeights")
    return subnet


def _keep(subnet: SubnetState, hotkey: str, promises: tuple[WeightCommit, ...]) -> None:
    if promises:
        subnet.commits[hotkey] = promises
    else:
        subnet.commits.pop(hotkey, None)
    subnet.touch(f"commits/{hotkey}")


def _store(
    state: ChainState, call: SetWeights, hotkey: str, block: int, *, limited: bool, sent_as: str = ""
) -> int:
    subnet = state.subnets.get(call.netuid)
    name = refuse_weights(_described(state, call, hotkey, block, limited=limited))
    if name is not None or subnet is None:
        message = _reason(subnet, hotkey, block)
        raise CallRefused(name or "SubNetworkDoesNotExist", message, sent_as or call.call)
    uid = subnet.uids[hotkey]
    subnet.weights[uid] = dict(zip(call.uids, max_upscale(call.values), strict=True))
    subnet.touch(f"weights/{uid}", f"slot/{uid}")
    return uid


def _described(state: ChainState, call: SetWeights, hotkey: str, block: int, *, limited: bool) -> WeightsCall:
    subnet = state.subnets.get(call.netuid)
    slot = subnet.slot_of(hotkey) if subnet else None
    settings = subnet.hyperparameters if subnet else Hyperparameters()
    return WeightsCall(
        uids=call.uids,
        values=call.values,
        version_key=call.version_key,
        subnet_exists=subnet is not None,
        neurons=len(subnet.slots) if subnet else 0,
        uid=subnet.uids.get(hotkey) if subnet else None,
        stake=state.stake_on(subnet, hotkey) if subnet else 0,
        permit=slot is not None and slot.permit,
        last_update=slot.last_update if slot else 0,
        block=block,
        minimum_stake=settings.weights_min_stake,
        required_version=settings.weights_version_key,
        # A revealed row was limited when it was promised.
        rate_limit=settings.weights_rate_limit if limited else 0,
        minimum_count=settings.min_allowed_weights,
        maximum=settings.max_weight_limit,
    )


def _reason(subnet: SubnetState | None, hotkey: str, block: int) -> str:
    slot = subnet.slot_of(hotkey) if subnet else None
    if subnet is None or slot is None:
        return f"{hotkey} is no neuron of this subnet"
    settings = subnet.hyperparameters
    return (
        f"block {block}, last update {slot.last_update}, rate limit {settings.weights_rate_limit}, "
        f"permit {slot.permit}, {len(subnet.slots)} neurons, "
        f"{settings.min_allowed_weights} weights at least, version {settings.weights_version_key}"
    )


def _refuse(
    call: SetWeights | CommitWeights | CommitSealed | RevealWeights, name: str, message: str
) -> NoReturn:
    raise CallRefused(name, message, call.call)
