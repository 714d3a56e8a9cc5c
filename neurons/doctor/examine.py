"""The examination: every check as soon as what it builds on is known, all at once, each under its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ranvier.neurons.config.models import NodeSettings
from ranvier.neurons.doctor import (
    address,
    clock,
    disk,
    engine,
    keys,
    machine,
    membership,
    network,
    plugin,
    shadows,
    state,
)
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.check import Check, carry_out
from ranvier.neurons.doctor.finding import Finding, skipped

MACHINE: Final = (
    Check("python", machine.python),
    Check("packages", machine.packages),
    Check("extras", machine.extras),
    Check("shadowed imports", shadows.shadows),
    Check("open files", machine.files),
    Check("model folder", disk.models),
)
NODE: Final = (
    Check("plugin", plugin.plugin, seconds=60.0),
    Check("hotkey", keys.hotkey),
    Check("coldkey", keys.coldkey, ("wallet",)),
    Check("network", network.network, seconds=75.0),
    Check("block arrival", network.arrival, ("chain",), seconds=60.0),
    Check("clock", clock.clock, ("lag",)),
    Check("subnet on chain", membership.subnet, ("chain",), seconds=60.0),
    Check("calls", membership.calls, ("hyperparameters",), seconds=60.0),
    Check("registration", membership.registration, ("metagraph", "hotkey"), seconds=60.0),
    Check("permit", membership.permit, ("neuron", "hyperparameters"), "validator"),
    Check("published address", address.published, ("neuron",), "miner"),
    Check("reachable", address.reach, (), "miner", seconds=40.0),
    Check("engine", engine.engine, ("plugin",), seconds=60.0),
    Check("disk", disk.disk),
    Check("state", state.state, ("hotkey",), seconds=60.0),
)
SOURCES: Final = {
    "plugin": "plugin",
    "wallet": "hotkey",
    "hotkey": "hotkey",
    "chain": "network",
    "lag": "block arrival",
    "metagraph": "subnet on chain",
    "hyperparameters": "subnet on chain",
    "neuron": "registration",
}
"""Which check establishes a fact."""
AFTER: Final = {"reachable": ("hotkey",), "state": ("network",)}
"""Checks that say more once others have ended, and can do without them."""
_AT_ONCE: Final = 8


def checks_of(role: str) -> tuple[Check, ...]:
    """The checks of a ``miner`` or ``validator``, in the order in which they are shown."""
    return tuple(check for check in NODE if check.role in ("", role))


async def examine_machine() -> list[Finding]:
    """Every finding on the environment."""
    return [one for check in MACHINE for one in await carry_out(check)]


async def examine_nodes(nodes: Sequence[NodeSettings]) -> list[Finding]:
    """Every finding on the nodes, in their order; some of them at a time."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(settings: NodeSettings) -> list[Finding]:
        async with turns:
            return await examine_node(settings)

    return [line for lines in await asyncio.gather(*map(one, nodes)) for line in lines]


async def examine_node(settings: NodeSettings) -> list[Finding]:
    """Every finding on one node; nothing of it changes the node, the chain or the state."""
    case = Case(settings)
    running: dict[str, asyncio.Task[Sequence[Finding]]] = {}
    try:
        async with asyncio.TaskGroup() as group:
            for check in checks_of("miner" if case.is_miner else "validator"):
                sources = [SOURCES[fact] for fact in check.needs] + list(AFTER.get(check.name, ()))
                running[check.name] = group.create_task(_in_turn(check, case, sources, running))
    finally:
        await case.close()
    return [replace(one, node=case.name) for task in running.values() for one in task.result()]


async def _in_turn(
    check: Check, case: Case, sources: Sequence[str], running: dict[str, asyncio.Task[Sequence[Finding]]]
) -> Sequence[Finding]:
    await asyncio.gather(*(running[name] for name in sources))
    missing = [SOURCES[fact] for fact in check.needs if getattr(case, fact) is None]
    if missing:
        return [skipped(check.name, f"because of {missing[0]}")]
    return await carry_out(check, case)
