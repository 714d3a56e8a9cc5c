"""The state as named JSON records, and back: what the store keeps and the state hash is taken of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.ledger import Ledger
from ranvier.chain.models import AxonInfo, Block, WeightCommit
from ranvier.chain.state import ChainState, Payment, Row, Slot, SubnetState

_SCALARS = (
    "netuid",
    "name",
    "owner",
    "share",
    "created_at",
    "burn",
    "counted_from",
    "adjusted_at",
    "registered_now",
    "registered_interval",
    "pending",
    "last_step",
)


def encode(state: ChainState, names: Iterable[str]) -> dict[str, str | None]:
    """The named records as JSON; None for one that is no more."""
    return {name: _dump(_value(state, name)) for name in names}


def names(state: ChainState) -> list[str]:
    """Names of all records of the state, sorted."""
    ledger = state.ledger
    found = [
        "head",
        *(f"balance/{key}" for key in ledger.balances),
        *(f"owner/{key}" for key in ledger.owners),
    ]
    found += [f"stake/{hot}/{cold}" for hot, held in ledger.stakes.items() for cold in held]
    for netuid, subnet in state.subnets.items():
        found.append(f"subnet/{netuid}/")
        found += [f"subnet/{netuid}/slot/{uid}" for uid in range(len(subnet.slots))]
        found += [f"subnet/{netuid}/weights/{uid}" for uid in subnet.weights]
        found += [f"subnet/{netuid}/bonds/{uid}" for uid in subnet.bonds]
        found += [f"subnet/{netuid}/commits/{hotkey}" for hotkey in subnet.commits]
    return sorted(found)


def state_hash(state: ChainState) -> str:
    """0x and 64 hex digits over all records but block hashes: equal for equal calls on an equal genesis."""
    digest = hashlib.sha256()
    records = encode(state, names(state))
    records["head"] = json.dumps([state.head.number, state.ledger.issuance])
    for name, value in records.items():
        digest.update(f"{name}\n{value}\n".encode())
    return "0x" + digest.hexdigest()


def decode(records: Mapping[str, str], existential_deposit: int) -> ChainState:
    """The state that `encode` wrote. Raises KeyError, ValueError or TypeError where records are damaged."""
    head = json.loads(records["head"])
    ledger = Ledger(existential_deposit, issuance=head.pop("issuance"))
    state = ChainState(Block(**head), ledger)
    for name in sorted(records):
        kind, *rest = name.split("/")
        value = json.loads(records[name])
        if kind == "balance":
            ledger.balances[rest[0]] = value
        elif kind == "owner":
            ledger.owners[rest[0]] = value
        elif kind == "stake":
            ledger.stakes.setdefault(rest[0], {})[rest[1]] = value["rao"]
            if value["moved_at"] is not None:
                ledger.moved_at[rest[0], rest[1]] = value["moved_at"]
        elif kind == "subnet" and rest[1] == "":
            subnet = _subnet(value)
            subnet.slots = [_slot(records[f"{name}slot/{uid}"]) for uid in range(value["slots"])]
            subnet.uids = {slot.hotkey: uid for uid, slot in enumerate(subnet.slots)}
            state.subnets[subnet.netuid] = subnet
        elif kind == "subnet" and rest[1] in {"weights", "bonds"}:
            # Sorted names put a subnet's own record before its rows.
            rows = getattr(state.subnets[int(rest[0])], rest[1])
            rows[int(rest[2])] = {int(uid): weight for uid, weight in value.items()}
        elif kind == "subnet" and rest[1] == "commits":
            commits = tuple(WeightCommit(**commit) for commit in value)
            state.subnets[int(rest[0])].commits[rest[2]] = commits
    return state


def _value(state: ChainState, name: str) -> Any:
    kind, *rest = name.split("/")
    ledger = state.ledger
    if kind == "head":
        return {**asdict(state.head), "issuance": ledger.issuance}
    if kind == "balance":
        return ledger.balances[rest[0]]
    if kind == "owner":
        return ledger.owners[rest[0]]
    if kind == "stake":
        hot, cold = rest
        return {"rao": ledger.stake_of(hot, cold), "moved_at": ledger.moved_at.get((hot, cold))}
    return _subnet_value(state.subnets[int(rest[0])], rest[1:])


def _subnet_value(subnet: SubnetState, path: list[str]) -> Any:
    if path[0] == "slot":
        uid = int(path[1])
        return asdict(subnet.slots[uid]) if uid < len(subnet.slots) else None
    if path[0] == "weights":
        return _row(subnet.weights.get(int(path[1])))
    if path[0] == "bonds":
        return _row(subnet.bonds.get(int(path[1])))
    if path[0] == "commits":
        kept = subnet.commits.get(path[1])
        return None if kept is None else [asdict(commit) for commit in kept]
    scalars = {name: getattr(subnet, name) for name in _SCALARS}
    loaded = [asdict(payment) for payment in subnet.loaded]
    parameters = subnet.hyperparameters.model_dump()
    return {**scalars, "hyperparameters": parameters, "loaded": loaded, "slots": len(subnet.slots)}


def _row(row: Row | None) -> dict[str, int] | None:
    return None if row is None else {str(uid): value for uid, value in sorted(row.items())}


def _dump(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _subnet(value: Mapping[str, Any]) -> SubnetState:
    return SubnetState(
        **{name: value[name] for name in _SCALARS},
        hyperparameters=Hyperparameters.model_validate(value["hyperparameters"]),
        loaded=tuple(Payment(**payment) for payment in value["loaded"]),
    )


def _slot(text: str) -> Slot:
    value = json.loads(text)
    axon = value.pop("axon")
    return Slot(**value, axon=None if axon is None else AxonInfo(**axon))
