"""The chain itself: named, reached, alive."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from ranvier.chain import BackEndMissing, ChainError, ChainUnreachable, UnknownNetwork, connect
from ranvier.neurons.config.networks import resolve
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok

PATIENCE_BLOCKS: Final = 3
LEAST_PATIENCE: Final = 3.0
LONGEST_PATIENCE: Final = 45.0
"""Seconds; a chain of slow blocks is not waited for longer."""
_BLOCKS: Final = "block arrival"


async def network(case: Case) -> Finding:
    """The network's name, its back end, and its newest block."""
    try:
        found = resolve(case.settings.network, case.settings.networks)
        chain = connect(found.endpoint)
        case.open.append(chain)
        head, block_time = await chain.block(), await chain.block_time()
        case.genesis = await chain.genesis()
    except UnknownNetwork as error:
        return fail("network", str(error), "correct --network, or add it to [networks] of the file")
    except BackEndMissing as error:
        return fail("network", str(error), "`pip install 'ranvier[subtensor]'`")
    except ChainUnreachable as error:
        step = "start it (`ranvier chain` for one of your own), open the way to it, or name another with --network"
        return fail("network", f"{error.endpoint} cannot be reached: {error.reason}", step)
    except ChainError as error:
        return fail("network", str(error), "start the chain, open the way to it, or name another node")
    case.chain, case.head, case.block_time = chain, head, block_time
    return ok("network", f"{found.endpoint}: block {head.number}, genesis {case.genesis[:10]}")


async def arrival(case: Case) -> Finding:
    """A new block comes within three block times: the chain goes on, and the connection is not half dead."""
    assert case.chain is not None
    assert case.head is not None
    assert case.block_time is not None
    patience = min(max(PATIENCE_BLOCKS * case.block_time, LEAST_PATIENCE), LONGEST_PATIENCE)
    try:
        async with asyncio.timeout(patience):
            block = await anext(aiter(case.chain.blocks(case.head.number)))
    except TimeoutError:
        step = "the chain stands still, or the connection is half dead: look at the node, or name another"
        return fail(_BLOCKS, f"no block after {case.head.number} in {patience:g} s", step)
    except ChainError as error:
        return fail(_BLOCKS, str(error), "look at the node, or name another")
    case.head, case.lag = block, time.time() - block.timestamp
    return ok(_BLOCKS, f"block {block.number} came; one is due every {case.block_time:g} s")
