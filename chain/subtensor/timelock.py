"""Weights locked until a drand round, for chains that open them by themselves (commit-reveal version 4)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from bittensor_core import Keypair, get_encrypted_commit_v2

from ranvier.chain.calls import CommitTimelocked

VERSION: Final = 4
"""The form of the ciphertext."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A row's ciphertext and the drand round that opens it."""

    ciphertext: bytes
    round: int
    version: int


async def seal(substrate: Any, call: CommitTimelocked, hotkey: str) -> Sealed:
    """Lock a row until the epoch in which the chain will look for it, all read at one block.

    Chains without a schedule of their own (before 2026) run epochs at (block + netuid + 1) mod (tempo + 1).
    """
    number = await substrate.block_number()
    at = await substrate.block_hash(number)

    async def read(name: str) -> Any:
        return await substrate.query("SubtensorModule", name, [call.netuid], at)

    tempo, period, since, seconds = await asyncio.gather(
        read("Tempo"), read("RevealPeriodEpochs"), read("BlocksSinceLastStep"), substrate.block_time()
    )
    try:
        last, pending, index = await asyncio.gather(
            read("LastEpochBlock"), read("PendingEpochAt"), read("SubnetEpochIndex")
        )
    except (ValueError, KeyError):
        length = int(tempo) + 1
        index, beyond = divmod(number + call.netuid + 1, length)
        last, pending, tempo = number - beyond, 0, length
    ciphertext, opened_by = get_encrypted_commit_v2(
        uids=list(call.uids),
        weights=list(call.values),
        version_key=call.version_key,
        last_epoch_block=int(last or 0),
        pending_epoch_at=int(pending or 0),
        subnet_epoch_index=int(index or 0),
        tempo=int(tempo),
        blocks_since_last_step=int(since or 0),
        current_block=number,
        subnet_reveal_period_epochs=int(period or 1),
        block_time=seconds,
        hotkey=Keypair(ss58_address=hotkey).public_key,
    )
    return Sealed(bytes(ciphertext), int(opened_by), VERSION)
