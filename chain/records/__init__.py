"""The state as named JSON records, and back: what the store keeps and the state hash is taken of.

A new part of the state: its `Codec` in a file of its family here, listed in `CODECS`; who changes it touches its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from ranvier.chain.ledger import Ledger
from ranvier.chain.models import Block
from ranvier.chain.network import NetworkParameters, NetworkState
from ranvier.chain.records import governance, network, root, subnets, tally, work
from ranvier.chain.records import ledger as funds
from ranvier.chain.records.codec import Codec
from ranvier.chain.state import ChainState

CODECS: Final[Mapping[str, Codec]] = {
    codec.kind: codec
    for family in (funds, governance, network, root, subnets, tally, work)
    for codec in family.CODECS
}

_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def encode(state: ChainState, names: Iterable[str]) -> dict[str, str | None]:
    """The named records as JSON; None for one that is no more."""
    return {name: _dump(_value(state, name)) for name in names}


def names(state: ChainState) -> list[str]:
    """Names of all records of the state, sorted."""
    parts = (f"{codec.kind}/{rest}" for codec in CODECS.values() for rest in codec.names(state))
    return sorted(["head", *parts])


def state_hash(state: ChainState) -> str:
    """0x and 64 hex digits over all records but block hashes: equal for equal calls on an equal genesis."""
    digest = hashlib.sha256()
    records = encode(state, names(state))
    records["head"] = json.dumps([state.head.number, state.ledger.issuance])
    del records[work.RECENT]
    for name, value in records.items():
        digest.update(f"{name}\n{value}\n".encode())
    return "0x" + digest.hexdigest()


def decode(records: Mapping[str, str], existential_deposit: int) -> ChainState:
    """The state that `encode` wrote. Raises KeyError, ValueError or TypeError where records are damaged."""
    head = json.loads(records["head"])
    ledger = Ledger(existential_deposit, issuance=head.pop("issuance"))
    state = ChainState(Block(**head), ledger, NetworkState(NetworkParameters(), last_lock=0))
    for name in sorted(records.keys() - {"head"}, key=_natural):
        kind, *path = name.split("/")
        CODECS[kind].restore(state, path, json.loads(records[name]))
    for needed in ("network/", "tally/"):
        if needed not in records:
            raise KeyError(needed)
    for codec in CODECS.values():
        codec.check(state, records)
    return state


def _natural(name: str) -> list[tuple[int, int, str]]:
    """By numbers where a part is one; (1, 0, text) and (0, number, "") compare whatever a hash happens to look like."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in name.split("/")]


def _value(state: ChainState, name: str) -> Any:
    kind, *path = name.split("/")
    if kind == "head":
        return {**asdict(state.head), "issuance": state.ledger.issuance}
    return CODECS[kind].value(state, path)


def _dump(value: Any) -> str | None:
    if type(value) is int:  # most are balances and stakes
        return str(value)
    return None if value is None else _JSON.encode(value)
