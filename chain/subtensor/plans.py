"""Which of the chain's calls carry out a call of ours: the preferred one first, then its fall-backs."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ranvier.chain.calls import (
    AddStake,
    Call,
    CommitTimelocked,
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
from ranvier.chain.errors import CallRefused
from ranvier.chain.subtensor.timelock import Sealed

MODULE: Final = "SubtensorModule"


@dataclass(frozen=True, slots=True)
class RawCall:
    """A call under the chain's own names, as the SDK composes it."""

    module: str
    function: str
    params: Mapping[str, Any]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.module}.{self.function}"

    def as_tuple(self) -> tuple[str, str, dict[str, Any]]:
        """As the SDK takes it."""
        return self.module, self.function, dict(self.params)


def _ours(function: str, **params: Any) -> RawCall:
    return RawCall(MODULE, function, params)


def plans_for(call: Call, sealed: Sealed | None = None) -> tuple[RawCall, ...]:
    """The preferred call first; none for what only a local chain has. `CommitTimelocked` needs its row `sealed`."""
    if isinstance(call, CommitTimelocked):
        assert sealed is not None
        return _timelocked(call, sealed)
    plan = _PLANS.get(type(call))
    return plan(call) if plan else ()


def _register(call: Register) -> tuple[RawCall, ...]:
    return (_ours("burned_register", netuid=call.netuid, hotkey=call.hotkey),)


def _address(call: Serve | ServeTls) -> dict[str, Any]:
    try:
        address = ipaddress.ip_address(call.ip)
    except ValueError as error:
        reason = f"{call.ip!r} is neither IPv4 nor IPv6 (refused before it was sent)"
        raise CallRefused("InvalidIpType", reason, call.call) from error
    return {
        "netuid": call.netuid,
        "version": call.version,
        "ip": int(address),
        "port": call.port,
        "ip_type": address.version,
        "protocol": 4,
        "placeholder1": 0,
        "placeholder2": 0,
    }


def _serve(call: Serve) -> tuple[RawCall, ...]:
    return (_ours("serve_axon", **_address(call)),)


def _serve_tls(call: ServeTls) -> tuple[RawCall, ...]:
    return (_ours("serve_axon_tls", **_address(call), certificate=bytes.fromhex(call.certificate)),)


def _set_weights(call: SetWeights) -> tuple[RawCall, ...]:
    row = {"dests": list(call.uids), "weights": list(call.values), "version_key": call.version_key}
    return (
        _ours("set_mechanism_weights", netuid=call.netuid, mecid=0, **row),
        _ours("set_weights", netuid=call.netuid, **row),
    )


def _commit(call: CommitWeights) -> tuple[RawCall, ...]:
    return (
        _ours("commit_mechanism_weights", netuid=call.netuid, mecid=0, commit_hash=call.commit_hash),
        _ours("commit_weights", netuid=call.netuid, commit_hash=call.commit_hash),
    )


def _reveal(call: RevealWeights) -> tuple[RawCall, ...]:
    shown = {
        "uids": list(call.uids),
        "values": list(call.values),
        "salt": list(call.salt),
        "version_key": call.version_key,
    }
    return (
        _ours("reveal_mechanism_weights", netuid=call.netuid, mecid=0, **shown),
        _ours("reveal_weights", netuid=call.netuid, **shown),
    )


def _timelocked(call: CommitTimelocked, sealed: Sealed) -> tuple[RawCall, ...]:
    shown = {
        "commit": sealed.ciphertext,
        "reveal_round": sealed.round,
        "commit_reveal_version": sealed.version,
    }
    return (
        _ours("commit_timelocked_mechanism_weights", netuid=call.netuid, mecid=0, **shown),
        _ours("commit_timelocked_weights", netuid=call.netuid, **shown),
    )


def _add_stake(call: AddStake) -> tuple[RawCall, ...]:
    given = {"hotkey": call.hotkey, "netuid": call.netuid, "amount_staked": call.amount}
    if call.limit_price is not None:
        return (_ours("add_stake_limit", **given, limit_price=call.limit_price, allow_partial=False),)
    return (_ours("add_stake", **given),)


def _remove_stake(call: RemoveStake) -> tuple[RawCall, ...]:
    given = {"hotkey": call.hotkey, "netuid": call.netuid, "amount_unstaked": call.amount}
    if call.limit_price is not None:
        return (_ours("remove_stake_limit", **given, limit_price=call.limit_price, allow_partial=False),)
    return (_ours("remove_stake", **given),)


def _move_stake(call: MoveStake) -> tuple[RawCall, ...]:
    given = {
        "origin_hotkey": call.origin,
        "destination_hotkey": call.hotkey,
        "origin_netuid": call.origin_netuid,
        "destination_netuid": call.netuid,
        "alpha_amount": call.amount,
    }
    if call.limit_price is not None:
        return (_ours("move_stake_limit", **given, limit_price=call.limit_price, allow_partial=False),)
    return (_ours("move_stake", **given),)


def _increase_take(call: IncreaseTake) -> tuple[RawCall, ...]:
    return (_ours("increase_take", hotkey=call.hotkey, take=call.take),)


def _decrease_take(call: DecreaseTake) -> tuple[RawCall, ...]:
    return (_ours("decrease_take", hotkey=call.hotkey, take=call.take),)


def _root_register(call: RootRegister) -> tuple[RawCall, ...]:
    return (_ours("root_register", hotkey=call.hotkey),)


def _create_subnet(call: CreateSubnet) -> tuple[RawCall, ...]:
    return (_ours("register_network", hotkey=call.hotkey),)


def _start_call(call: StartCall) -> tuple[RawCall, ...]:
    return (_ours("start_call", netuid=call.netuid),)


def _set_children(call: SetChildren) -> tuple[RawCall, ...]:
    return (_ours("set_children", hotkey=call.hotkey, netuid=call.netuid, children=list(call.children)),)


def _set_child_take(call: SetChildTake) -> tuple[RawCall, ...]:
    return (_ours("set_childkey_take", hotkey=call.hotkey, netuid=call.netuid, take=call.take),)


def _transfer(call: Transfer) -> tuple[RawCall, ...]:
    return (RawCall("Balances", "transfer_keep_alive", {"dest": call.to, "value": call.amount}),)


_PLANS: Final[Mapping[type, Callable[[Any], tuple[RawCall, ...]]]] = {
    Register: _register,
    Serve: _serve,
    ServeTls: _serve_tls,
    SetWeights: _set_weights,
    CommitWeights: _commit,
    RevealWeights: _reveal,
    AddStake: _add_stake,
    RemoveStake: _remove_stake,
    MoveStake: _move_stake,
    IncreaseTake: _increase_take,
    DecreaseTake: _decrease_take,
    RootRegister: _root_register,
    CreateSubnet: _create_subnet,
    StartCall: _start_call,
    SetChildren: _set_children,
    SetChildTake: _set_child_take,
    Transfer: _transfer,
}

_SOMEBODY: Final = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
_SEALED: Final = Sealed(b"\0" * 32, 1, 4)
SAMPLES: Final[Mapping[type, Call]] = {
    Register: Register(1, _SOMEBODY),
    Serve: Serve(1, "192.0.2.1", 8091),
    ServeTls: ServeTls(1, "192.0.2.1", 8091, "0100"),
    SetWeights: SetWeights(1, (0,), (65535,)),
    CommitWeights: CommitWeights(1, "0x" + "00" * 32),
    RevealWeights: RevealWeights(1, (0,), (65535,), (0,)),
    CommitTimelocked: CommitTimelocked(1, (0,), (65535,)),
    AddStake: AddStake(_SOMEBODY, 1),
    RemoveStake: RemoveStake(_SOMEBODY, 1),
    MoveStake: MoveStake(_SOMEBODY, _SOMEBODY, 1),
    IncreaseTake: IncreaseTake(_SOMEBODY, 1),
    DecreaseTake: DecreaseTake(_SOMEBODY, 1),
    RootRegister: RootRegister(_SOMEBODY),
    CreateSubnet: CreateSubnet(_SOMEBODY, "a"),
    StartCall: StartCall(1),
    SetChildren: SetChildren(_SOMEBODY, 1, ((1, _SOMEBODY),)),
    SetChildTake: SetChildTake(_SOMEBODY, 1, 1),
    Transfer: Transfer(_SOMEBODY, 1),
}
"""One call of each kind, to be composed and thrown away."""


def sample_plans(kind: type) -> tuple[RawCall, ...]:
    """The plans of a kind of call, filled with values that are never sent; none for what only a local chain has."""
    return plans_for(SAMPLES[kind], _SEALED) if kind in SAMPLES else ()
