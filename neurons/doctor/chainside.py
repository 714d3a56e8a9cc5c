"""The chain: reached, alive, in step with our clock, able to carry out what the node will send."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from ranvier.chain import (
    Ability,
    ChainError,
    CommitTimelocked,
    CommitWeights,
    NotFound,
    Register,
    RevealWeights,
    Serve,
    SetWeights,
    connect,
)
from ranvier.neurons.config.networks import resolve
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, warn
from ranvier.protocol.btauth import MAX_AGE_NS, MAX_SKEW_NS

PATIENCE_BLOCKS: Final = 3
LONGEST_PATIENCE: Final = 45.0
_A_DAY: Final = 86400.0


async def network(case: Case) -> Finding:
    """The network's name, its back end, and its newest block."""
    try:
        case.network = resolve(case.settings.network, case.settings.networks)
        chain = connect(case.network.endpoint)
    except ChainError as error:
        return fail("network", str(error), "name another --network, or install what is missing")
    case.open.append(chain)
    try:
        head, block_time = await chain.block(), await chain.block_time()
        genesis = await chain.genesis()
    except ChainError as error:
        return fail("network", str(error), "start the chain, correct the address, or look at the network")
    case.chain, case.head, case.block_time = chain, head, block_time
    return ok("network", f"{case.network.endpoint}: block {head.number}, genesis {genesis[:10]}")


async def arrival(case: Case) -> Finding:
    """A new block comes within three block times: the connection is not half dead."""
    assert case.chain is not None
    assert case.head is not None
    assert case.block_time is not None
    patience = min(max(PATIENCE_BLOCKS * case.block_time, 3.0), LONGEST_PATIENCE)
    try:
        async with asyncio.timeout(patience):
            async for block in case.chain.blocks(case.head.number):
                case.head = block
                return ok("block arrival", f"block {block.number} came; {case.block_time:g} s between blocks")
    except TimeoutError:
        pass
    except ChainError as error:
        return fail("block arrival", str(error), "look at the node's own log; name another")
    step = "the chain stands still or the connection is half dead: look at the node, name another"
    return fail("block arrival", f"no block in {patience:.0f} s", step)


async def clock(case: Case) -> Finding:
    """Our clock against the newest block's time: signatures are refused beyond the wire's limits."""
    assert case.head is not None
    assert case.block_time is not None
    behind = time.time() - case.head.timestamp
    limits = f"requests are refused beyond {MAX_AGE_NS / 1e9:.0f} s behind or {MAX_SKEW_NS / 1e9:.0f} s ahead"
    if abs(behind) > _A_DAY:
        return warn("clock", "the chain does not keep wall-clock time", "compare the clock with NTP by hand")
    if behind < -MAX_SKEW_NS / 1e9:
        return fail("clock", f"this machine is {-behind:.1f} s behind the chain; {limits}", "run NTP")
    if behind > MAX_AGE_NS / 1e9 + 2 * case.block_time:
        return fail("clock", f"this machine is {behind:.1f} s ahead of the newest block; {limits}", "run NTP")
    return ok("clock", f"{behind:.1f} s after the newest block's time")


async def subnet(case: Case) -> Finding:
    """The subnet is on the chain."""
    assert case.chain is not None
    netuid = case.settings.netuid
    try:
        case.metagraph = await case.chain.metagraph(netuid)
        case.hyperparameters = await case.chain.hyperparameters(netuid)
    except NotFound as error:
        return fail("subnet on chain", str(error), "`ranvier subnets` lists those there are")
    except ChainError as error:
        return fail("subnet on chain", str(error), "try again; look at the node")
    how = "commit-reveal" if case.hyperparameters.commit_reveal else "weights in the open"
    count = len(case.metagraph.neurons)
    return ok(
        "subnet on chain",
        f"{netuid} ({case.metagraph.name}): {count} neurons, tempo {case.metagraph.tempo}, {how}",
    )


async def calls(case: Case) -> list[Finding]:
    """Every call that the node would send, looked up in the live metadata; nothing is sent."""
    return [await _call(case, kind) for kind in _needed(case)]


def _needed(case: Case) -> list[type[Any]]:
    needed: list[type[Any]] = [Register] if case.settings.register_hotkey else []
    if case.is_miner:
        return [*needed, Serve]
    assert case.hyperparameters is not None
    return [*needed, *((CommitTimelocked,) if case.hyperparameters.commit_reveal else (SetWeights,))]


async def _call(case: Case, kind: type[Any]) -> Finding:
    assert case.chain is not None
    check = f"call {kind.__name__}"
    try:
        support = await case.chain.supports(kind)
        if kind is CommitTimelocked and not support:
            hashed = [await case.chain.supports(one) for one in (CommitWeights, RevealWeights)]
            if all(hashed):
                return ok(check, f"not here; fall-back: {' and '.join(one.detail for one in hashed)}")
    except ChainError as error:
        return fail(check, str(error), "try again; look at the node")
    if not support:
        return fail(check, support.detail, "another version of Ranvier, or another node, is needed")
    prefix = "fall-back: " if support.ability is Ability.FALLBACK else ""
    return ok(check, f"{prefix}{support.detail}")


async def registration(case: Case) -> Finding:
    """The hotkey has a uid."""
    assert case.metagraph is not None
    assert case.hotkey is not None
    case.neuron = case.metagraph.by_hotkey(case.hotkey)
    if case.neuron is None:
        step = "start once with --register (the coldkey pays), or name a registered hotkey"
        if case.settings.register_hotkey:
            return warn("registration", "no uid yet", "it is bought at the start: `register = true`")
        return fail("registration", f"{case.hotkey} has no uid on subnet {case.settings.netuid}", step)
    return ok("registration", f"uid {case.neuron.uid}, since block {case.neuron.registered_at}")


async def permit(case: Case) -> Finding:
    """A validator needs a permit and the network's least stake."""
    assert case.neuron is not None
    assert case.hyperparameters is not None
    stake = f"stake {case.neuron.stake / 1e9:.3f} TAO"
    least = case.hyperparameters.weights_min_stake
    if not case.neuron.validator_permit:
        return fail(
            "permit", f"none; {stake}", "add stake until the hotkey is among the permitted, await an epoch"
        )
    if case.neuron.stake < least:
        return fail("permit", f"{stake}, and weights need {least / 1e9:.3f} TAO", "add stake to the hotkey")
    return ok("permit", f"held; {stake}")
