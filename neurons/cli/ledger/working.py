"""Work for a place: searched on the newest block until some of it is accepted."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Final

from ranvier.neurons.errors import ConfigError

if TYPE_CHECKING:
    from ranvier.chain import ChainClient, Keypair, Receipt

CHUNK: Final = 20_000
"""Nonces between two looks at the chain."""
AGAIN: Final = frozenset({"InvalidWorkBlock", "InvalidDifficulty", "TooManyRegistrationsThisBlock"})
"""Refusals that newer work may not meet."""


async def found_work(
    chain: ChainClient, netuid: int, hotkey: Keypair, coldkey: str, seconds: float
) -> Receipt:
    """Search and send until a block holds it. Raises `CallRefused`, and `ConfigError` when the time is over."""
    from ranvier.chain import CallRefused, RegisterWork
    from ranvier.chain.local import LocalChain
    from ranvier.chain.work import challenge, search

    if not isinstance(chain, LocalChain):
        raise ConfigError("network", "work is done for local chains; for public ones use the official tools")
    era, end, start = (await chain.info()).era, time.monotonic() + seconds, secrets.randbits(63)
    while time.monotonic() < end:
        block, detail = await chain.block(), await chain.subnet_detail(netuid)
        if not detail.work_allowed:
            closed = f"subnet {netuid} gives no places for work (refused before any was done)"
            raise CallRefused("SubNetRegistrationDisabled", closed, RegisterWork.call)
        given = challenge(era, netuid, block.hash, hotkey.ss58_address, coldkey)  # type: ignore[arg-type]
        found = await asyncio.to_thread(search, era, given, detail.difficulty, start, CHUNK)  # type: ignore[arg-type]
        start += CHUNK
        if found is None:
            continue
        try:
            call = RegisterWork(netuid, coldkey, block.number, found[0], found[1].hex())
            return await chain.submit(call, hotkey, deadline=60.0)
        except CallRefused as refusal:
            if refusal.name not in AGAIN:
                raise
    raise ConfigError("seconds", f"no work was found in {seconds:g} s; give it longer, or buy a place")
