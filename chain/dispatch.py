"""Which handler carries out which call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ranvier.chain.calls import Call
from ranvier.chain.handlers import (
    children,
    delegation,
    funds,
    governance,
    registration,
    root,
    serving,
    subnets,
    weights,
)
from ranvier.chain.handlers.context import Context, Handler, refuse

HANDLERS: Final[Mapping[type, Handler]] = MappingProxyType(
    {
        kind: handler
        for family in (registration, serving, weights, funds, delegation, children, root, subnets, governance)
        for kind, handler in family.HANDLERS.items()
    }
)
CARRIED_OUT: Final = tuple(kind.__name__ for kind in HANDLERS)
"""Names of the calls that this chain carries out."""


def dispatch(context: Context, call: Call, signer: str) -> None:
    """Carry out one call. Raises `CallRefused` and changes nothing where a check fails."""
    handler = HANDLERS.get(type(call))
    if handler is None:
        refuse(call, "CallDisabled", "this chain carries out no such call")
    handler(context, call, signer)
