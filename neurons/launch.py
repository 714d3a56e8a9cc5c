"""From settings to running nodes: keys, plugins, chain and engine, all checked before anything listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranvier.chain import ChainClient, Keypair, Wallet, connect
from ranvier.engines.client import EngineClient
from ranvier.neurons.config.models import MinerSettings, NodeSettings, ValidatorSettings
from ranvier.neurons.config.networks import Network, resolve
from ranvier.neurons.context import require_engine, require_ready, subnet_settings
from ranvier.neurons.duties.lock import hotkey_lock
from ranvier.neurons.duties.root import RootDuty
from ranvier.neurons.health import HealthServer
from ranvier.neurons.miner import MinerNode
from ranvier.neurons.registration import register_if_missing, require_registered
from ranvier.neurons.validator import ValidatorNode
from ranvier.subnets import Subnet, load_miner, load_subnet


@dataclass(frozen=True, slots=True)
class Parts:
    """What a node is made of."""

    network: Network
    chain: ChainClient
    key: Keypair
    subnet: type[Subnet[Any]]
    engine: EngineClient | None


async def run_miners(nodes: Sequence[MinerSettings], stop: asyncio.Event) -> None:
    """Run all of them until ``stop``; the first that fails stops the others and raises."""
    async with AsyncExitStack() as stack:
        running = []
        for settings in nodes:
            parts = await stack.enter_async_context(prepared(settings, settings.model))
            code = load_miner(settings.miner) if settings.miner else parts.subnet.miner
            running.append(
                MinerNode(
                    *(settings, parts.network, parts.chain, parts.key, parts.subnet, code),
                    engine=parts.engine,
                )
            )
        await _run(running, nodes[0], stop, stack)


async def run_validators(nodes: Sequence[ValidatorSettings], stop: asyncio.Event) -> None:
    """Run all of them until ``stop``; one hotkey validates in one process of this machine only."""
    async with AsyncExitStack() as stack:
        running, held = [], set[tuple[str, str]]()
        duties: dict[tuple[str, str], RootDuty] = {}
        for settings in nodes:
            parts = await stack.enter_async_context(prepared(settings))
            chosen = subnet_settings(parts.subnet, settings.settings)
            hotkey = parts.key.ss58_address
            await require_ready(parts.subnet, chosen, settings.netuid, hotkey, parts.engine)
            place = await parts.chain.genesis(), hotkey
            if place not in held:
                stack.enter_context(hotkey_lock(*place))
                held.add(place)
            listeners = [duty.hear for duty in _root_duty(duties, settings, place, parts, nodes)]
            running.append(
                ValidatorNode(
                    *(settings, parts.network, parts.chain, parts.key, parts.subnet),
                    engine=parts.engine,
                    listeners=listeners,
                )
            )
        await _run(running, nodes[0], stop, stack, list(duties.values()))


def _root_duty(
    duties: dict[tuple[str, str], RootDuty],
    settings: ValidatorSettings,
    place: tuple[str, str],
    parts: Parts,
    nodes: Sequence[ValidatorSettings],
) -> list[RootDuty]:
    """The root duty of a node's hotkey, made with its first node; none where the settings do not ask for it."""
    if not settings.root_weights:
        return []
    own = (settings.network, settings.wallet, settings.hotkey)
    netuids = {
        node.netuid for node in nodes if node.root_weights and (node.network, node.wallet, node.hotkey) == own
    }
    return [duties.setdefault(place, RootDuty(parts.chain, parts.key, frozenset(netuids)))]


@asynccontextmanager
async def prepared(settings: NodeSettings, model: str = "") -> AsyncIterator[Parts]:
    """Everything checked that can be checked before the node runs; closed with the context."""
    network = resolve(settings.network, settings.networks)
    subnet = load_subnet(settings.subnet)
    subnet_settings(subnet, settings.settings)
    wallet = Wallet(settings.wallet, settings.hotkey, Path(settings.wallets))
    key = wallet.load_hotkey()
    chain = connect(network.endpoint)
    try:
        if settings.register_hotkey:
            await register_if_missing(chain, settings.netuid, wallet)
        await require_registered(chain, settings.netuid, key.ss58_address, network.name)
        async with AsyncExitStack() as stack:
            engine = (
                await stack.enter_async_context(EngineClient(settings.engine)) if settings.engine else None
            )
            await require_engine(subnet, engine, model or None)
            yield Parts(network, chain, key, subnet, engine)
    finally:
        await chain.close()


async def _run(
    nodes: Sequence[MinerNode | ValidatorNode],
    first: NodeSettings,
    stop: asyncio.Event,
    stack: AsyncExitStack,
    duties: Sequence[RootDuty] = (),
) -> None:
    if first.metrics.port:
        await stack.enter_async_context(HealthServer(nodes, first.metrics.host, first.metrics.port))
    tasks = [asyncio.ensure_future(one.run(stop)) for one in (*nodes, *duties)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        stop.set()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
