"""The examination: checks in an order in which each finds what it builds on, every one under a deadline."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ranvier.neurons.config.models import NodeSettings
from ranvier.neurons.doctor import address, chainside, inside, keys
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, skipped

SECONDS: Final = 60.0
"""Deadline of one check; those that wait for the network have shorter ones of their own."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check, the facts of the `Case` that it needs, and for whom it is."""

    name: str
    run: Callable[[Case], Any]
    needs: tuple[str, ...] = ()
    role: str = ""
    """``miner``, ``validator``, or empty for both."""


CHECKS: Final = (
    Check("plugin", inside.plugin),
    Check("hotkey", keys.hotkey),
    Check("network", chainside.network),
    Check("coldkey", keys.coldkey, ("wallet",)),
    Check("block arrival", chainside.arrival, ("chain",)),
    Check("clock", chainside.clock, ("chain",)),
    Check("subnet on chain", chainside.subnet, ("chain",)),
    Check("calls", chainside.calls, ("hyperparameters",)),
    Check("registration", chainside.registration, ("metagraph", "hotkey")),
    Check("permit", chainside.permit, ("neuron", "hyperparameters"), "validator"),
    Check("published address", address.published, ("neuron",), "miner"),
    Check("reachable", address.reach, (), "miner"),
    Check("engine", inside.engine, ("subnet",)),
    Check("disk", inside.disk),
    Check("state", inside.state, ("hotkey",)),
)
SOURCES: Final = {
    "wallet": "hotkey",
    "hotkey": "hotkey",
    "chain": "network",
    "metagraph": "subnet on chain",
    "hyperparameters": "subnet on chain",
    "neuron": "registration",
    "subnet": "plugin",
}
"""Which check establishes a fact."""


async def examine_node(settings: NodeSettings) -> list[Finding]:
    """Every finding on one node; nothing it does changes the node, the chain or the state."""
    case = Case(settings)
    role = "miner" if case.is_miner else "validator"
    found: list[Finding] = []
    try:
        for check in CHECKS:
            if check.role in ("", role):
                found += await _run(check, case)
    finally:
        await case.close()
    return [replace(one, node=case.name) for one in found]


async def _run(check: Check, case: Case) -> Sequence[Finding]:
    missing = [SOURCES[fact] for fact in check.needs if getattr(case, fact) is None]
    if missing:
        return [skipped(check.name, f"because of {missing[0]}")]
    try:
        async with asyncio.timeout(SECONDS):
            said = check.run(case)
            result = await said if inspect.isawaitable(said) else said
    except TimeoutError:
        return [fail(check.name, f"no answer in {SECONDS:.0f} s", "look at what it asks")]
    return result if isinstance(result, list) else [result]
