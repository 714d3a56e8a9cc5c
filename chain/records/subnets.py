"""Subnets as records: one of their own, one for each slot, row of weights or bonds, and hotkey with promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from ranvier.chain.children import Children, Families, Pending
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.market import Market
from ranvier.chain.models import AxonInfo, WeightCommit
from ranvier.chain.payment import Payment
from ranvier.chain.records.codec import Codec
from ranvier.chain.records.columns import columns, lines
from ranvier.chain.state import ChainState, Row, Slot, SubnetState

_SETTLED: Final = ("netuid", "name", "owner", "share", "created_at", "starts_at", "owner_hotkey")
"""Beside settings; what moves with the blocks is in the tally."""
_SLOT: Final = ("hotkey", "registered_at", "last_update")
_STANDING: Final = (
    "active",
    "permit",
    "rank",
    "trust",
    "validator_trust",
    "consensus",
    "incentive",
    "dividends",
    "emission",
    "pruning",
)
"""Of a slot, what epochs set: one record for all slots of a subnet."""
_PAYMENT: Final = ("hotkey", "server", "validator", "root")


def _names(state: ChainState) -> Iterable[str]:
    for netuid, subnet in state.subnets.items():
        yield f"{netuid}/"
        yield f"{netuid}/families"
        yield f"{netuid}/bonds"
        yield f"{netuid}/standing"
        if subnet.loaded:
            yield f"{netuid}/loaded"
        yield from (f"{netuid}/slot/{uid}" for uid in range(len(subnet.slots)))
        yield from (f"{netuid}/weights/{uid}" for uid in subnet.weights)
        yield from (f"{netuid}/commits/{hotkey}" for hotkey in subnet.commits)
        if subnet.market is not None:
            held = subnet.market.stakes.items()
            yield from (f"{netuid}/alpha/{hot}/{cold}" for hot, by in held for cold in by)


def _value(state: ChainState, path: Sequence[str]) -> Any:
    subnet = state.subnets.get(int(path[0]))
    return None if subnet is None else _WRITERS[path[1]](subnet, path[2:])


def _own(subnet: SubnetState, path: Sequence[str]) -> Any:
    return {
        **{name: getattr(subnet, name) for name in _SETTLED},
        "hyperparameters": subnet.hyperparameters.model_dump(),
        "slots": len(subnet.slots),
    }


def _loaded(subnet: SubnetState, path: Sequence[str]) -> Any:
    return columns(_PAYMENT, subnet.loaded) if subnet.loaded else None


def _slot(subnet: SubnetState, path: Sequence[str]) -> Any:
    uid = int(path[0])
    if uid >= len(subnet.slots):
        return None
    slot = subnet.slots[uid]
    axon = None if slot.axon is None else asdict(slot.axon)
    return {**{name: getattr(slot, name) for name in _SLOT}, "axon": axon}


def _weights(subnet: SubnetState, path: Sequence[str]) -> Any:
    row = subnet.weights.get(int(path[0]))
    return None if row is None else _row(row)


def _row(row: Row) -> list[list[int]]:
    uids = sorted(row)
    return [uids, [row[uid] for uid in uids]]


def _commits(subnet: SubnetState, path: Sequence[str]) -> Any:
    kept = subnet.commits.get(path[0])
    return None if kept is None else [asdict(commit) for commit in kept]


def _alpha(subnet: SubnetState, path: Sequence[str]) -> Any:
    return None if subnet.market is None else subnet.market.stake_of(path[0], path[1]) or None


_WRITERS: Final[Mapping[str, Callable[[SubnetState, Sequence[str]], Any]]] = {
    "": _own,
    "alpha": _alpha,
    "bonds": lambda subnet, _: [[uid, *_row(row)] for uid, row in sorted(subnet.bonds.items())],
    "commits": _commits,
    "families": lambda subnet, _: asdict(subnet.families),
    "loaded": _loaded,
    "slot": _slot,
    "standing": lambda subnet, _: columns(_STANDING, subnet.slots),
    "weights": _weights,
}


def _restore(state: ChainState, path: Sequence[str], value: Any) -> None:
    """In natural order of the names: a subnet's own first, and its slots before their standing."""
    netuid, part = int(path[0]), path[1]
    if part == "":
        state.subnets[netuid] = _subnet(value)
    else:
        _READERS[part](state.subnets[netuid], path[2:], value)


def _subnet(value: Mapping[str, Any]) -> SubnetState:
    return SubnetState(
        **{name: value[name] for name in _SETTLED},
        hyperparameters=Hyperparameters.model_validate(value["hyperparameters"]),
        burn=0,
        counted_from=0,
    )


def _read_slot(subnet: SubnetState, path: Sequence[str], value: Any) -> None:
    axon = value.pop("axon")
    slot = Slot(**value, axon=None if axon is None else AxonInfo(**axon))
    subnet.uids[slot.hotkey] = int(path[0])
    subnet.slots.append(slot)


def _read_standing(subnet: SubnetState, path: Sequence[str], value: Any) -> None:
    for slot, line in zip(subnet.slots, lines(_STANDING, value), strict=True):
        for name, found in line.items():
            setattr(slot, name, found)


def _read_alpha(subnet: SubnetState, path: Sequence[str], value: Any) -> None:
    subnet.market = subnet.market or Market()
    subnet.market.restake(path[0], path[1], value)


def _read_row(uids: Sequence[int], values: Sequence[int]) -> Row:
    return dict(zip(uids, values, strict=True))


def _read_weights(subnet: SubnetState, path: Sequence[str], value: Any) -> None:
    subnet.weights[int(path[0])] = _read_row(*value)


def _read_bonds(subnet: SubnetState, path: Sequence[str], value: Any) -> None:
    subnet.bonds = {uid: _read_row(uids, values) for uid, uids, values in value}


def _read_loaded(subnet: SubnetState, path: Sequence[str], value: Any) -> None:
    subnet.loaded = tuple(Payment(**line) for line in lines(_PAYMENT, value))


def _read_commits(subnet: SubnetState, path: Sequence[str], value: Any) -> None:
    subnet.commits[path[0]] = tuple(WeightCommit(**commit) for commit in value)


def _read_families(subnet: SubnetState, path: Sequence[str], value: Any) -> None:
    subnet.families = _families(value)


_READERS: Final[Mapping[str, Callable[[SubnetState, Sequence[str], Any], None]]] = {
    "alpha": _read_alpha,
    "bonds": _read_bonds,
    "commits": _read_commits,
    "families": _read_families,
    "loaded": _read_loaded,
    "slot": _read_slot,
    "standing": _read_standing,
    "weights": _read_weights,
}


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


def _check(state: ChainState, records: Mapping[str, str]) -> None:
    for netuid, subnet in state.subnets.items():
        for part in ("families", "standing", "bonds"):
            if f"subnet/{netuid}/{part}" not in records:
                raise ValueError(f"{part} of subnet {netuid} are missing")
        if json.loads(records[f"subnet/{netuid}/"])["slots"] != len(subnet.slots):
            raise ValueError(f"slots of subnet {netuid} are missing")
        if subnet.market is not None and subnet.market.total() != subnet.market.issued:
            raise ValueError(f"alpha of subnet {netuid} is missing")


CODECS = (Codec("subnet", _names, _value, _restore, _check),)
