"""Readings of a Subtensor chain that take more than one question, over the SDK's ``Substrate``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from ranvier.chain.models import Block, Event, SubnetInfo
from ranvier.chain.subtensor import decode
from ranvier.chain.subtensor.connection import load_sdk
from ranvier.chain.subtensor.plans import MODULE, RawCall


async def or_else(default: Any, reading: Awaitable[Any]) -> Any:
    """The reading, or the default where this chain has no such storage."""
    try:
        return await reading
    except (ValueError, KeyError):
        return default


async def composes(substrate: Any, plan: RawCall) -> bool:
    """Whether the live metadata has the call, with these parameters; nothing is signed or sent."""
    sdk = load_sdk()
    try:
        await substrate.compose(plan.as_tuple())
    except (ValueError, KeyError, TypeError, sdk.ChainError):
        return False
    return True


async def shielded(substrate: Any) -> bool:
    """Whether registrations are to be encrypted: the chain has the shield, and a key for it."""
    shield = RawCall("MevShield", "submit_encrypted", {"ciphertext": b"\0" * 32})
    return await composes(substrate, shield) and bool(await or_else(None, substrate.mev_next_key()))


async def block_at(substrate: Any, number: int) -> Block:
    """A block whose state the node still has."""
    hashed = str(await substrate.block_hash(number))
    milliseconds = await substrate.query("Timestamp", "Now", None, hashed)
    return Block(number, hashed, int(milliseconds or 0) / 1000)


async def events_of(substrate: Any, number: int) -> list[Event]:
    """Events of the network's own module in a block."""
    records = await substrate.events(await substrate.block_hash(number))
    found = []
    for index, record in enumerate(records):
        event = record.get("event", record)
        if event.get("module_id") == MODULE:
            data = event.get("attributes")
            named = data if isinstance(data, dict) else {"values": data}
            found.append(Event(number, index, str(event.get("event_id")), named))
    return found


async def all_subnets(substrate: Any) -> tuple[SubnetInfo, ...]:
    """All but the root, at one block; names and shares only where the chain tells them."""
    at = await substrate.block_hash()
    columns = (
        "NetworksAdded",
        "Tempo",
        "SubnetworkN",
        "MaxAllowedUids",
        "Burn",
        "SubnetOwner",
        "NetworkRegisteredAt",
    )
    maps = await asyncio.gather(
        *(or_else((), substrate.query_map(MODULE, name, None, at)) for name in columns)
    )
    added, tempo, count, most, burn, owner, since = ({int(k): v for k, v in found} for found in maps)
    api = or_else((), substrate.runtime_call("SubnetInfoRuntimeApi", "get_all_dynamic_info", [], at))
    details = {int(info["netuid"]): info for info in (await api or ()) if info}
    shares = {netuid: int(details.get(netuid, {}).get("tao_in_emission") or 0) for netuid in added}
    total = sum(shares.values()) or 1
    return tuple(
        SubnetInfo(
            netuid=netuid,
            name=decode.text(details.get(netuid, {}).get("subnet_name")) or f"subnet-{netuid}",
            owner=str(owner[netuid]) if netuid in owner else None,
            tempo=int(tempo.get(netuid, 0)),
            neurons=int(count.get(netuid, 0)),
            max_neurons=int(most.get(netuid, 0)),
            emission_share=shares[netuid] / total,
            burn=int(burn.get(netuid, 0)),
            created_at=int(since.get(netuid, 0)),
        )
        for netuid in sorted(added)
        if added[netuid] and netuid != 0
    )
