"""Where a neuron answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final

from ranvier.chain.calls import Serve, ServeTls
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.models import AxonInfo

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
_NOWHERE: Final = frozenset({"0.0.0.0", "::", "255.255.255.255"})  # noqa: S104 - addresses to refuse, none to bind


def serve(context: Context, call: Serve | ServeTls, hotkey: str) -> None:
    """Publish the signer's address on a subnet."""
    if not context.state.registered_anywhere(hotkey):
        refuse(call, "HotKeyNotRegisteredInNetwork", f"register {hotkey} first")
    subnet = context.subnet(call, call.netuid)
    slot = subnet.slot_of(hotkey)
    if slot is None:
        refuse(call, "HotKeyNotRegisteredInSubNet", f"register {hotkey} on subnet {call.netuid} first")
    _check_address(call, allow_loopback=context.genesis.allow_loopback)
    if call.port == 0:
        refuse(call, "InvalidPort", "port 0 cannot be dialled")
    wait = subnet.hyperparameters.serving_rate_limit
    if slot.axon is not None and context.block - slot.axon.block < wait:
        refuse(call, "ServingRateLimitExceeded", f"served at {slot.axon.block}; once per {wait} blocks")
    certificate = call.certificate if isinstance(call, ServeTls) else ""
    slot.axon = AxonInfo(call.ip, call.port, call.version, context.block, certificate)
    subnet.touch(f"slot/{subnet.uids[hotkey]}")
    context.tell("AxonServed", netuid=call.netuid, hotkey=hotkey, ip=call.ip, port=call.port)


def _check_address(call: Serve | ServeTls, *, allow_loopback: bool) -> None:
    try:
        address = str(ipaddress.ip_address(call.ip))
    except ValueError:
        refuse(call, "InvalidIpType", f"{call.ip!r} is neither IPv4 nor IPv6")
    if address != call.ip or address in _NOWHERE:
        refuse(call, "InvalidIpAddress", f"{call.ip} is not a host's address in its usual form")
    if address in _LOOPBACK and not allow_loopback:
        refuse(call, "InvalidIpAddress", f"{call.ip} is loopback; publish an address others can reach")


HANDLERS: Mapping[type, Handler] = {Serve: serve, ServeTls: serve}
