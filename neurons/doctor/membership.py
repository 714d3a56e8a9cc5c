"""The node's place on the chain: its subnet, the calls it will send, its uid, its permit."""

from __future__ import annotations

from typing import Any, Final

from ranvier.chain import (
    RAO,
    Ability,
    ChainError,
    CommitTimelocked,
    CommitWeights,
    NotFound,
    Register,
    RevealWeights,
    Serve,
    SetWeights,
    WalletError,
)
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, warn

_AGAIN: Final = "try again; if it stays, look at the node or name another"


async def subnet(case: Case) -> Finding:
    """The subnet is on the chain."""
    assert case.chain is not None
    netuid = case.settings.netuid
    try:
        case.metagraph = await case.chain.metagraph(netuid)
        case.hyperparameters = await case.chain.hyperparameters(netuid)
    except NotFound as error:
        return fail(
            "subnet on chain", str(error), "correct --netuid; `ranvier subnets` lists those there are"
        )
    except ChainError as error:
        return fail("subnet on chain", str(error), _AGAIN)
    how = "weights by commit-reveal" if case.hyperparameters.commit_reveal else "weights in the open"
    size = f"{len(case.metagraph.neurons)} neurons, tempo {case.metagraph.tempo}"
    return ok("subnet on chain", f"{netuid} ({case.metagraph.name}): {size}, {how}")


async def calls(case: Case) -> list[Finding]:
    """Every call that the node would send, looked up in the live metadata; nothing is sent."""
    return [await _call(case, kind) for kind in _needed(case)]


def _needed(case: Case) -> list[type[Any]]:
    needed: list[type[Any]] = [Register] if case.settings.register_hotkey else []
    if case.is_miner:
        return [*needed, Serve]
    assert case.hyperparameters is not None
    return [*needed, CommitTimelocked if case.hyperparameters.commit_reveal else SetWeights]


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
        return fail(check, str(error), _AGAIN)
    if not support:
        return fail(
            check, support.detail, "name a node of the right chain, or use another release of Ranvier"
        )
    prefix = "fall-back: " if support.ability is Ability.FALLBACK else "works: "
    return ok(check, f"{prefix}{support.detail}")


async def registration(case: Case) -> Finding:
    """The hotkey has a uid, or can buy one at the start."""
    assert case.metagraph is not None
    assert case.hotkey is not None
    case.neuron = case.metagraph.by_hotkey(case.hotkey)
    if case.neuron is not None:
        return ok("registration", f"uid {case.neuron.uid}, since block {case.neuron.registered_at}")
    if case.settings.register_hotkey:
        return await _purchase(case)
    step = "start once with --register (the coldkey pays), or name a registered hotkey"
    return fail("registration", f"{case.hotkey} has no uid on subnet {case.settings.netuid}", step)


async def _purchase(case: Case) -> Finding:
    assert case.chain is not None
    assert case.wallet is not None
    try:
        owner = case.wallet.coldkey_address()
        funds = await case.chain.balance(owner)
        listed = {one.netuid: one for one in await case.chain.subnets()}
    except (ChainError, WalletError) as error:
        return fail("registration", f"no uid, and buying one fails: {error}", "register from another machine")
    if not case.wallet.coldkey_file.exists():
        step = "register from the machine that has it, and leave `register` out here"
        return fail("registration", "no uid, and the coldkey that would buy one is not here", step)
    price, has = listed[case.settings.netuid].burn, f"{owner} has {funds / RAO:g} TAO"
    if funds < price:
        return fail("registration", f"no uid; one costs {price / RAO:g} TAO, {has}", "send it more")
    step = f"the start buys one for about {price / RAO:g} TAO: `register` is set"
    return warn("registration", f"no uid yet; {has}", step)


async def permit(case: Case) -> Finding:
    """A validator needs a permit and the network's least stake."""
    assert case.neuron is not None
    assert case.hyperparameters is not None
    stake, least = f"stake {case.neuron.stake / RAO:.3f} TAO", case.hyperparameters.weights_min_stake
    if not case.neuron.validator_permit:
        step = "add stake until the hotkey is among the permitted; permits are given at an epoch's end"
        return fail("permit", f"none; {stake}", step)
    if case.neuron.stake < least:
        return fail("permit", f"{stake}, and weights need {least / RAO:.3f} TAO", "add stake to the hotkey")
    return ok("permit", f"held; {stake}")
