"""Every refusal that all back ends can give: the chain's own name, the cause, and what to do about it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest_names import DIFFERENT_NAMES

from ranvier.chain import (
    RAO,
    AddStake,
    CallRefused,
    CommitWeights,
    Keypair,
    Register,
    RemoveStake,
    RevealWeights,
    Serve,
    ServeTls,
    SetWeights,
    Transfer,
    commit_hash,
)

SALT = (5, 6, 7)


def address(name: str) -> str:
    return str(Keypair.create_from_uri(f"//{name}").ss58_address)


def promise(salt: int) -> CommitWeights:
    return CommitWeights(1, commit_hash(address("v0"), 1, (3,), (9,), (salt,)))


REFUSALS: list[tuple[str, dict[str, Any], Any, str]] = [
    ("HotKeyAlreadyRegisteredInSubNet", {}, Register(1, address("m0")), "cold"),
    ("NotEnoughBalanceToStake", {}, Register(1, address("new")), "poor"),
    ("SubNetworkDoesNotExist", {}, Register(9, address("new")), "cold"),
    ("SubNetRegistrationDisabled", {"registration_allowed": False}, Register(1, address("new")), "cold"),
    ("HotKeyNotRegisteredInNetwork", {}, Serve(1, "10.0.0.7", 8091), "nobody"),
    ("InvalidIpAddress", {"allow_loopback": False}, Serve(1, "127.0.0.1", 8091), "m0"),
    ("InvalidPort", {}, Serve(1, "10.0.0.7", 0), "m0"),
    ("HotKeyNotRegisteredInSubNet", {}, SetWeights(1, (3,), (1,)), "nobody"),
    ("NeuronNoValidatorPermit", {"max_allowed_validators": 2}, SetWeights(1, (4,), (1,)), "m0"),
    ("DuplicateUids", {}, SetWeights(1, (3, 3), (1, 1)), "v0"),
    ("UidVecContainInvalidOne", {}, SetWeights(1, (5,), (1,)), "v0"),
    ("WeightVecNotEqualSize", {}, SetWeights(1, (3, 4), (1,)), "v0"),
    ("WeightVecLengthIsLow", {"min_allowed_weights": 2}, SetWeights(1, (3,), (1,)), "v0"),
    ("MaxWeightExceeded", {"max_weight_limit": 40000}, SetWeights(1, (3, 4), (9, 1)), "v0"),
    ("IncorrectWeightVersionKey", {"weights_version_key": 7}, SetWeights(1, (3,), (1,), 6), "v0"),
    ("NotEnoughStakeToSetWeights", {"weights_min_stake": 60 * RAO}, SetWeights(1, (3,), (1,)), "v2"),
    ("CommitRevealEnabled", {"commit_reveal": True}, SetWeights(1, (3,), (1,)), "v0"),
    ("CommitRevealDisabled", {}, CommitWeights(1, "0x" + "ab" * 32), "v0"),
    ("NoWeightsCommitFound", {"commit_reveal": True}, RevealWeights(1, (3,), (1,), SALT), "v0"),
    ("NotEnoughStakeToWithdraw", {}, RemoveStake(address("v0"), 900 * RAO), "cold"),
    ("NotEnoughBalanceToStake", {}, AddStake(address("v0"), 5000 * RAO), "cold"),
    ("SubtokenDisabled", {}, AddStake(address("v0"), RAO, 1), "cold"),
    ("InvalidIpType", {}, Serve(1, "nowhere", 8091), "m0"),
    ("InvalidIpAddress", {"allow_loopback": False}, ServeTls(1, "::1", 8091, "01ab"), "m0"),
    ("UidsLengthExceedUidsInSubNet", {}, SetWeights(1, tuple(range(6)), (1,) * 6), "v0"),
    ("HotKeyNotRegisteredInSubNet", {"commit_reveal": True}, CommitWeights(1, "0x" + "ab" * 32), "nobody"),
    ("RegistrationNotPermittedOnRootSubnet", {}, Register(0, address("new")), "cold"),
    ("HotKeyAccountNotExists", {}, AddStake(address("new"), RAO), "cold"),
    ("HotKeyNotDelegateAndSignerNotOwnHotKey", {}, AddStake(address("v0"), RAO), "rich"),
    ("StakeToWithdrawIsZero", {}, RemoveStake(address("v0"), 0), "cold"),
    ("ExistentialDeposit", {}, Transfer(address("new"), 1), "rich"),
    ("Expendability", {}, Transfer(address("cold"), 1000), "poor"),
    ("InsufficientBalance", {}, Transfer(address("cold"), 1001), "poor"),
]


@pytest.mark.parametrize(("name", "settings", "call", "who"), REFUSALS, ids=[row[0] for row in REFUSALS])
async def test_a_refusal_has_the_chains_name_and_a_next_step(
    open_contract: Any, name: str, settings: Any, call: Any, who: str
) -> None:
    async with open_contract(**settings) as contract:
        with pytest.raises(CallRefused) as caught:
            await contract.submit(call, who)
    expected = name if contract.is_local else DIFFERENT_NAMES.get(name, name)
    assert (caught.value.name, caught.value.call) == (expected, call.call)
    assert caught.value.message
    assert caught.value.next_step
    assert caught.value.next_step in str(caught.value)


SEQUENCES: list[tuple[str, dict[str, Any], list[tuple[Any, str]]]] = [
    ("TooManyRegistrationsThisInterval", {"adjustment_interval": 5000, "target_regs_per_interval": 1},
     [(Register(1, address(f"n{i}")), "cold") for i in range(4)]),
    ("NonAssociatedColdKey", {}, [(Register(2, address("m0")), "rich")]),
    ("CommittingWeightsTooFast", {"commit_reveal": True, "weights_rate_limit": 500},
     [(promise(1), "v0"), (promise(2), "v0")]),
    ("TooManyUnrevealedCommits", {"commit_reveal": True, "tempo": 300},
     [(promise(i), "v0") for i in range(11)]),
    ("RevealTooEarly", {"commit_reveal": True, "tempo": 300},
     [(promise(1), "v0"), (RevealWeights(1, (3,), (9,), (1,)), "v0")]),
    ("InvalidRevealCommitHashNotMatch", {"commit_reveal": True, "tempo": 300},
     [(promise(1), "v0"), (RevealWeights(1, (3,), (9,), (2,)), "v0")]),
    ("StakeRateLimitExceeded", {"stake_interval": 500},
     [(AddStake(address("v0"), RAO), "cold"), (AddStake(address("v0"), RAO), "cold")]),
    ("UnstakeRateLimitExceeded", {"stake_interval": 500},
     [(AddStake(address("v0"), RAO), "cold"), (RemoveStake(address("v0"), RAO), "cold")]),
    ("SettingWeightsTooFast", {"weights_rate_limit": 500},
     [(SetWeights(1, (3,), (1,)), "v0"), (SetWeights(1, (4,), (1,)), "v0")]),
    ("ServingRateLimitExceeded", {"serving_rate_limit": 500},
     [(Serve(1, "10.0.0.7", 8091), "m0"), (ServeTls(1, "10.0.0.7", 8092, "01ab"), "m0")]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "calls"), SEQUENCES, ids=[row[0] for row in SEQUENCES])
async def test_the_last_of_several_calls_is_refused(
    open_contract: Any, name: str, settings: Any, calls: Any
) -> None:
    async with open_contract(**settings) as contract:
        *before, (last, who) = calls
        # Together, for blocks take their time; where order matters there is one before.
        await asyncio.gather(*(_patiently(contract, call, signer) for call, signer in before))
        with pytest.raises(CallRefused) as caught:
            await contract.submit(last, who)
    assert (caught.value.name, caught.value.call) == (name, last.call)
    assert caught.value.message
    assert caught.value.next_step


async def _patiently(contract: Any, call: Any, who: str) -> None:
    """Registrations: one in a block."""
    while True:
        try:
            await contract.submit(call, who)
        except CallRefused as refusal:
            if refusal.name != "TooManyRegistrationsThisBlock":
                raise
            assert refusal.next_step
        else:
            return


async def test_a_promise_expires(open_contract: Any) -> None:
    async with open_contract(commit_reveal=True, tempo=4) as contract:
        await contract.submit(promise(1), "v0")
        (held,) = await contract.client.commits(1, address("v0"))
        await contract.until(held.last_reveal + 1)
        with pytest.raises(CallRefused) as caught:
            await contract.submit(RevealWeights(1, (3,), (9,), (1,)), "v0")
    assert caught.value.name in {"ExpiredWeightCommit", "NoWeightsCommitFound"}
    assert caught.value.next_step
