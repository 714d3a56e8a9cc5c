"""What a handler works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ranvier.chain.calls import Call
from ranvier.chain.errors import CallRefused
from ranvier.chain.genesis import Genesis
from ranvier.chain.rules import Rules
from ranvier.chain.state import ChainState, SubnetState


@dataclass
class Context:
    """The state in the block that is being made. `events` collects (name, data) of what was done."""

    state: ChainState
    rules: Rules
    genesis: Genesis
    block: int
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def tell(self, name: str, /, **data: Any) -> None:
        """Add an event."""
        self.events.append((name, data))

    def subnet(self, call: Call, netuid: int) -> SubnetState:
        """The subnet; refuses the call where there is none."""
        subnet = self.state.subnets.get(netuid)
        if subnet is None:
            refuse(call, "SubNetworkDoesNotExist", f"there is no subnet {netuid}")
        return subnet


Handler = Callable[[Context, Any, str], None]
"""(context, call, signer): carries the call out, or raises `CallRefused` before its first change."""


def refuse(call: Call, name: str, message: str) -> NoReturn:
    """Refuse a call under one of the chain's error names."""
    raise CallRefused(name, message, call.call)
