"""The chain's calls and records in our terms."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from ranvier.chain import (
    AddStake,
    CommitWeights,
    CreateSubnet,
    DecreaseTake,
    IncreaseTake,
    MoveStake,
    Register,
    RemoveStake,
    RevealWeights,
    RootRegister,
    Serve,
    ServeTls,
    SetChildren,
    SetChildTake,
    SetWeights,
    StartCall,
    Transfer,
)


def axon_record(axon: Any) -> dict[str, int]:
    """A published address, as the chain keeps it."""
    if axon is None:
        return {"ip": 0, "port": 0, "ip_type": 0, "version": 0, "block": 0}
    address = ipaddress.ip_address(axon.ip)
    return {"ip": int(address), "port": axon.port, "ip_type": address.version, "version": axon.version,
            "block": axon.block}  # fmt: skip


def _address(params: Mapping[str, Any]) -> dict[str, Any]:
    kind = ipaddress.IPv6Address if params["ip_type"] == 6 else ipaddress.IPv4Address
    return {"netuid": params["netuid"], "ip": str(kind(params["ip"])), "port": params["port"],
            "version": params["version"]}  # fmt: skip


def _set(params: Mapping[str, Any]) -> SetWeights:
    return SetWeights(
        params["netuid"], tuple(params["dests"]), tuple(params["weights"]), params["version_key"]
    )


def _commit(params: Mapping[str, Any]) -> CommitWeights:
    return CommitWeights(params["netuid"], params["commit_hash"])


def _reveal(params: Mapping[str, Any]) -> RevealWeights:
    rows = (tuple(params[name]) for name in ("uids", "values", "salt"))
    return RevealWeights(params["netuid"], *rows, params["version_key"])


CALLS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "burned_register": lambda p: Register(p["netuid"], p["hotkey"]),
    "serve_axon": lambda p: Serve(**_address(p)),
    "serve_axon_tls": lambda p: ServeTls(**_address(p), certificate=p["certificate"].hex()),
    "set_weights": _set,
    "set_mechanism_weights": _set,
    "commit_weights": _commit,
    "commit_mechanism_weights": _commit,
    "reveal_weights": _reveal,
    "reveal_mechanism_weights": _reveal,
    "add_stake": lambda p: AddStake(p["hotkey"], p["amount_staked"], p["netuid"]),
    "remove_stake": lambda p: RemoveStake(p["hotkey"], p["amount_unstaked"], p["netuid"]),
    "move_stake": lambda p: MoveStake(
        p["origin_hotkey"],
        p["destination_hotkey"],
        p["alpha_amount"],
        p["origin_netuid"],
        p["destination_netuid"],
    ),
    "increase_take": lambda p: IncreaseTake(p["hotkey"], p["take"]),
    "register_network": lambda p: CreateSubnet(p["hotkey"], "a"),
    "start_call": lambda p: StartCall(p["netuid"]),
    "set_children": lambda p: SetChildren(p["hotkey"], p["netuid"], tuple(p["children"])),
    "set_childkey_take": lambda p: SetChildTake(p["hotkey"], p["netuid"], p["take"]),
    "root_register": lambda p: RootRegister(p["hotkey"]),
    "decrease_take": lambda p: DecreaseTake(p["hotkey"], p["take"]),
    "transfer_keep_alive": lambda p: Transfer(p["dest"], p["value"]),
}
