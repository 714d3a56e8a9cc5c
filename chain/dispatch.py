"""Which handler carries out which call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ranvier.chain.calls import Call, CommitSealed, CommitTimelocked, ResetBonds, StartCall
from ranvier.chain.handlers import (
    children,
    delegation,
    funds,
    governance,
    locked,
    registration,
    root,
    serving,
    subnets,
    weights,
)
from ranvier.chain.handlers.context import Context, Handler, refuse
from ranvier.chain.handlers.locked import LOCKED

HANDLERS: Final[Mapping[type, Handler]] = MappingProxyType(
    {
        kind: handler
        for family in (
            registration,
            serving,
            weights,
            locked,
            funds,
            delegation,
            children,
            root,
            subnets,
            governance,
        )
        for kind, handler in family.HANDLERS.items()
    }
)


def carried_out(era: str, version: int) -> tuple[str, ...]:
    """Names of the calls that a chain of this era and `commit_reveal_version` carries out, if its client seals them."""
    locked = (CommitTimelocked.__name__,) if version >= LOCKED else ()
    left_out = () if version >= LOCKED else (CommitSealed.__name__,)
    if era == "2024":
        left_out = (*left_out, StartCall.__name__, ResetBonds.__name__)
    return (*(kind.__name__ for kind in HANDLERS if kind.__name__ not in left_out), *locked)


def dispatch(context: Context, call: Call, signer: str) -> None:
    """Carry out one call. Raises `CallRefused` and changes nothing where a check fails."""
    handler = HANDLERS.get(type(call))
    if handler is None:
        refuse(call, "CallDisabled", "this chain carries out no such call")
    handler(context, call, signer)
