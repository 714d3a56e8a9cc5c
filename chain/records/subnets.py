"""Subnets as records: one of their own, one for each slot, row of weights or bonds, and hotkey with promises."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from ranvier.chain.children import Children, Families, Pending
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.market import Market
from ranvier.chain.models import AxonInfo, WeightCommit
from ranvier.chain.payment import Payment
from ranvier.chain.records.codec import Codec
from ranvier.chain.state import ChainState, Row, Slot, SubnetState

_SCALARS: Final = (
    "netuid",
    "name",
    "owner",
    "share",
    "created_at",
    "burn",
    "counted_from",
    "starts_at",
    "adjusted_at",
    "registered_now",
    "registered_interval",
    "by_work",
    "difficulty",
    "recycled",
    "owner_hotkey",
    "pending",
    "last_step",
)
_MARKET: Final = ("reserve", "issued", "pending_root", "moving_price", "flow", "moving_flow")


def _names(state: ChainState) -> Iterable[str]:
    for netuid, subnet in state.subnets.items():
        yield f"{netuid}/"
        yield f"{netuid}/families"
        yield from (f"{netuid}/slot/{uid}" for uid in range(len(subnet.slots)))
        yield from (f"{netuid}/weights/{uid}" for uid in subnet.weights)
        yield from (f"{netuid}/bonds/{uid}" for uid in subnet.bonds)
        yield from (f"{netuid}/commits/{hotkey}" for hotkey in subnet.commits)
        if subnet.market is not None:
            yield f"{netuid}/market"
            held = subnet.market.stakes.items()
            yield from (f"{netuid}/alpha/{hot}/{cold}" for hot, by in held for cold in by)


def _value(state: ChainState, path: Sequence[str]) -> Any:
    subnet = state.subnets.get(int(path[0]))
    if subnet is None:
        return None
    if path[1] == "":
        return _own(subnet)
    if path[1] == "families":
        return asdict(subnet.families)
    if path[1] == "market":
        return None if subnet.market is None else {name: getattr(subnet.market, name) for name in _MARKET}
    if path[1] == "alpha":
        return None if subnet.market is None else subnet.market.stake_of(path[2], path[3]) or None
    if path[1] == "slot":
        uid = int(path[2])
        return asdict(subnet.slots[uid]) if uid < len(subnet.slots) else None
    if path[1] == "commits":
        kept = subnet.commits.get(path[2])
        return None if kept is None else [asdict(commit) for commit in kept]
    rows: dict[int, Row] = getattr(subnet, path[1])
    row = rows.get(int(path[2]))
    return None if row is None else {str(uid): value for uid, value in sorted(row.items())}


def _own(subnet: SubnetState) -> dict[str, Any]:
    return {
        **{name: getattr(subnet, name) for name in _SCALARS},
        "hyperparameters": subnet.hyperparameters.model_dump(),
        "loaded": [asdict(payment) for payment in subnet.loaded],
        "slots": len(subnet.slots),
    }


def _restore(state: ChainState, path: Sequence[str], value: Any) -> None:
    netuid, part = int(path[0]), path[1]
    if part == "":  # comes first: the others of the subnet have longer names
        state.subnets[netuid] = _subnet(value)
        return
    subnet = state.subnets[netuid]
    if part == "slot":
        slot = _slot(value)
        subnet.uids[slot.hotkey] = int(path[2])
        subnet.slots.append(slot)
    elif part == "families":
        subnet.families = _families(value)
    elif part == "alpha":  # comes before the market itself
        subnet.market = subnet.market or Market()
        subnet.market.restake(path[2], path[3], value)
    elif part == "market":
        subnet.market = Market(**value, stakes=subnet.market.stakes if subnet.market else {})
    elif part == "commits":
        subnet.commits[path[2]] = tuple(WeightCommit(**commit) for commit in value)
    else:
        getattr(subnet, part)[int(path[2])] = {int(uid): weight for uid, weight in value.items()}


def _subnet(value: Mapping[str, Any]) -> SubnetState:
    return SubnetState(
        **{name: value[name] for name in _SCALARS},
        hyperparameters=Hyperparameters.model_validate(value["hyperparameters"]),
        loaded=tuple(Payment(**payment) for payment in value["loaded"]),
    )


def _families(value: Mapping[str, Any]) -> Families:
    return Families(
        {parent: _children(rows) for parent, rows in value["children"].items()},
        {
            parent: Pending(_children(one["children"]), one["since"])
            for parent, one in value["pending"].items()
        },
        value["takes"],
    )


def _children(rows: Iterable[tuple[int, str]]) -> Children:
    return tuple((part, child) for part, child in rows)


def _slot(value: dict[str, Any]) -> Slot:
    axon = value.pop("axon")
    return Slot(**value, axon=None if axon is None else AxonInfo(**axon))


def _check(state: ChainState, records: Mapping[str, str]) -> None:
    for netuid, subnet in state.subnets.items():
        if json.loads(records[f"subnet/{netuid}/"])["slots"] != len(subnet.slots):
            raise ValueError(f"slots of subnet {netuid} are missing")
        if subnet.market is not None and subnet.market.total() != subnet.market.issued:
            raise ValueError(f"alpha of subnet {netuid} is missing")


CODECS = (Codec("subnet", _names, _value, _restore, _check),)
