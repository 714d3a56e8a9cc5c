"""Calls carried out: the chain's checks in the chain's order under the chain's error names, then the change."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ranvier.chain.calls import (
    AddStake,
    Call,
    CommitWeights,
    Register,
    RemoveStake,
    RevealWeights,
    Serve,
    ServeTls,
    SetWeights,
    Transfer,
)
from ranvier.chain.errors import CallRefused
from ranvier.chain.models import AxonInfo
from ranvier.chain.rules import Rules
from ranvier.chain.state import ChainState, Slot, SubnetState
from ranvier.chain.weight_calls import commit_weights, reveal_weights, set_weights

_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_NOWHERE = frozenset({"0.0.0.0", "::", "255.255.255.255"})  # noqa: S104 - addresses to refuse, none to bind


CARRIED_OUT = tuple(
    kind.__name__
    for kind in (
        *(Register, Serve, ServeTls, SetWeights, CommitWeights, RevealWeights),
        *(AddStake, RemoveStake, Transfer),
    )
)
"""Names of the calls that this chain carries out."""


@dataclass
class Dispatcher:
    """Carries out calls on one state. All checks of a call precede its first change.

    `events` collects (name, data) of what was done. `stake_interval` is in blocks.
    """

    state: ChainState
    rules: Rules
    allow_loopback: bool
    stake_interval: int
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def run(self, call: Call, signer: str, block: int) -> None:
        """Carry out one call in `block`. Raises `CallRefused` and changes nothing where a check fails."""
        handlers: dict[type, Callable[[Any, str, int], None]] = {
            Register: self._register,
            Serve: self._serve,
            ServeTls: self._serve,
            SetWeights: self._set_weights,
            CommitWeights: self._commit_weights,
            RevealWeights: self._reveal_weights,
            AddStake: self._add_stake,
            RemoveStake: self._remove_stake,
            Transfer: self._transfer,
        }
        handler = handlers.get(type(call))
        if handler is None:
            _refuse(call, "CallDisabled", "this chain carries out no such call")
        handler(call, signer, block)

    def _register(self, call: Register, coldkey: str, block: int) -> None:
        subnet = self._registrable(call, coldkey)
        self.state.ledger.burn(coldkey, subnet.burn)
        self.state.ledger.own(call.hotkey, coldkey)
        slot = Slot(call.hotkey, registered_at=block, last_update=block)
        uid: int | None = len(subnet.slots)
        if uid == subnet.hyperparameters.max_allowed_uids:
            uid = self._evict(subnet, block)
            slot.pruning = subnet.slots[uid].pruning
        old = subnet.slots[uid].hotkey if uid is not None and uid < len(subnet.slots) else None
        assert uid is not None
        subnet.put(uid, slot)
        if old is not None and not self.state.registered_anywhere(old):
            self.state.ledger.release(old)
        price = subnet.burn
        self.rules.registered(subnet)
        self._tell(
            "NeuronRegistered", netuid=call.netuid, uid=uid, hotkey=call.hotkey, replaced=old, burn=price
        )

    def _registrable(self, call: Register, coldkey: str) -> SubnetState:
        if call.netuid == 0:
            _refuse(call, "RegistrationNotPermittedOnRootSubnet", "netuid 0 takes no registrations")
        subnet = self._subnet(call, call.netuid)
        if not subnet.hyperparameters.registration_allowed:
            _refuse(call, "SubNetRegistrationDisabled", f"subnet {call.netuid} takes no registrations")
        crowded = self.rules.refuse_registration(subnet)
        if crowded:
            _refuse(call, crowded, f"subnet {call.netuid} took enough registrations; try again later")
        if call.hotkey in subnet.uids:
            _refuse(call, "HotKeyAlreadyRegisteredInSubNet", f"it has uid {subnet.uids[call.hotkey]}")
        if not self.state.ledger.can_pay(coldkey, subnet.burn):
            held = self.state.ledger.balance(coldkey)
            _refuse(call, "NotEnoughBalanceToStake", f"the price is {subnet.burn} rao, {coldkey} has {held}")
        if self.state.ledger.owners.get(call.hotkey, coldkey) != coldkey:
            _refuse(call, "NonAssociatedColdKey", "the hotkey belongs to another coldkey; sign with that one")
        return subnet

    def _evict(self, subnet: SubnetState, block: int) -> int:
        uid = self.rules.evict(subnet, block)
        assert uid is not None, "a full subnet has a neuron to give way: nobody is immortal here"
        return uid

    def _serve(self, call: Serve | ServeTls, hotkey: str, block: int) -> None:
        if not self.state.registered_anywhere(hotkey):
            _refuse(call, "HotKeyNotRegisteredInNetwork", f"register {hotkey} first")
        slot = self._subnet(call, call.netuid).slot_of(hotkey)
        if slot is None:
            _refuse(call, "HotKeyNotRegisteredInSubNet", f"register {hotkey} on subnet {call.netuid} first")
        self._check_address(call)
        if call.port == 0:
            _refuse(call, "InvalidPort", "port 0 cannot be dialled")
        subnet = self.state.subnets[call.netuid]
        wait = subnet.hyperparameters.serving_rate_limit
        if slot.axon is not None and block - slot.axon.block < wait:
            _refuse(call, "ServingRateLimitExceeded", f"served at {slot.axon.block}; once per {wait} blocks")
        certificate = call.certificate if isinstance(call, ServeTls) else ""
        slot.axon = AxonInfo(call.ip, call.port, call.version, block, certificate)
        subnet.touch(f"slot/{subnet.uids[hotkey]}")
        self._tell("AxonServed", netuid=call.netuid, hotkey=hotkey, ip=call.ip, port=call.port)

    def _check_address(self, call: Serve | ServeTls) -> None:
        try:
            address = str(ipaddress.ip_address(call.ip))
        except ValueError:
            _refuse(call, "InvalidIpType", f"{call.ip!r} is neither IPv4 nor IPv6")
        if address != call.ip or address in _NOWHERE:
            _refuse(call, "InvalidIpAddress", f"{call.ip} is not a host's address in its usual form")
        if address in _LOOPBACK and not self.allow_loopback:
            _refuse(call, "InvalidIpAddress", f"{call.ip} is loopback; publish an address others can reach")

    def _set_weights(self, call: SetWeights, hotkey: str, block: int) -> None:
        uid = set_weights(self.state, call, hotkey, block)
        self._tell("WeightsSet", netuid=call.netuid, uid=uid, hotkey=hotkey)

    def _commit_weights(self, call: CommitWeights, hotkey: str, block: int) -> None:
        commit_weights(self.state, self.rules, call, hotkey, block)
        self._tell("WeightsCommitted", netuid=call.netuid, hotkey=hotkey, commit_hash=call.commit_hash)

    def _reveal_weights(self, call: RevealWeights, hotkey: str, block: int) -> None:
        uid = reveal_weights(self.state, call, hotkey, block)
        self._tell("WeightsRevealed", netuid=call.netuid, uid=uid, hotkey=hotkey)

    def _add_stake(self, call: AddStake, coldkey: str, block: int) -> None:
        if not self.state.ledger.can_pay(coldkey, call.amount):
            held = self.state.ledger.balance(coldkey)
            _refuse(
                call, "NotEnoughBalanceToStake", f"{coldkey} has {held} rao, less the existential deposit"
            )
        self._check_pair(call, coldkey)
        self._check_pace(call, coldkey, block, "StakeRateLimitExceeded")
        self.state.ledger.stake(coldkey, call.hotkey, call.amount, block)
        self._tell("StakeAdded", hotkey=call.hotkey, coldkey=coldkey, amount=call.amount)

    def _remove_stake(self, call: RemoveStake, coldkey: str, block: int) -> None:
        self._check_pair(call, coldkey)
        if call.amount == 0:
            _refuse(call, "StakeToWithdrawIsZero", "name an amount above zero")
        held = self.state.ledger.stake_of(call.hotkey, coldkey)
        if held < call.amount:
            _refuse(call, "NotEnoughStakeToWithdraw", f"{coldkey} has {held} rao on {call.hotkey}")
        self._check_pace(call, coldkey, block, "UnstakeRateLimitExceeded")
        self.state.ledger.unstake(coldkey, call.hotkey, call.amount, block)
        self._tell("StakeRemoved", hotkey=call.hotkey, coldkey=coldkey, amount=call.amount)

    def _check_pair(self, call: AddStake | RemoveStake, coldkey: str) -> None:
        if call.netuid != 0:
            _refuse(call, "SubtokenDisabled", "TAO is staked to hotkeys here, there is no alpha of subnets")
        owner = self.state.ledger.owners.get(call.hotkey)
        if owner is None:
            _refuse(call, "HotKeyAccountNotExists", f"{call.hotkey} was never registered")
        if owner != coldkey:
            # Nobody is a delegate on this chain: a hotkey is staked to by its owner alone.
            _refuse(call, "HotKeyNotDelegateAndSignerNotOwnHotKey", f"{call.hotkey} belongs to {owner}")

    def _check_pace(self, call: AddStake | RemoveStake, coldkey: str, block: int, name: str) -> None:
        last = self.state.ledger.moved_at.get((call.hotkey, coldkey))
        if last is not None and block - last < self.stake_interval:
            _refuse(call, name, f"moved at block {last}; once per {self.stake_interval} blocks")

    def _transfer(self, call: Transfer, coldkey: str, block: int) -> None:
        ledger = self.state.ledger
        held = ledger.balance(coldkey)
        if held < call.amount:
            _refuse(call, "InsufficientBalance", f"{coldkey} has {held} rao")
        if not ledger.can_pay(coldkey, call.amount):
            _refuse(call, "Expendability", f"{ledger.existential_deposit} rao must stay with the sender")
        if ledger.balance(call.to) + call.amount < ledger.existential_deposit:
            _refuse(call, "ExistentialDeposit", f"a balance starts with {ledger.existential_deposit} rao")
        ledger.transfer(coldkey, call.to, call.amount)
        self._tell("Transfer", sender=coldkey, to=call.to, amount=call.amount)

    def _subnet(self, call: Call, netuid: int) -> SubnetState:
        subnet = self.state.subnets.get(netuid)
        if subnet is None:
            _refuse(call, "SubNetworkDoesNotExist", f"there is no subnet {netuid}")
        return subnet

    def _tell(self, name: str, **data: Any) -> None:
        self.events.append((name, data))


def _refuse(call: Call, name: str, message: str) -> NoReturn:
    raise CallRefused(name, message, call.call)
