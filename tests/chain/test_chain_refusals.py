"""Every refusal bears the chain's own error name, and a refused call changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ranvier.chain import RAO, AddStake, Keypair, Register, RemoveStake, Serve, ServeTls, SetWeights, Transfer


def address(name: str) -> str:
    return str(Keypair.create_from_uri(f"//{name}").ss58_address)


NEW = Register(1, address("new"))
ADDRESS = Serve(1, "127.0.0.1", 8000)
REFUSALS: list[tuple[str, dict[str, Any], list[tuple[Any, str]]]] = [
    ("RegistrationNotPermittedOnRootSubnet", {}, [(Register(0, address("new")), "cold")]),
    ("SubNetworkDoesNotExist", {}, [(Register(9, address("new")), "cold")]),
    ("SubNetRegistrationDisabled", {"registration_allowed": False}, [(NEW, "cold")]),
    ("HotKeyAlreadyRegisteredInSubNet", {}, [(Register(1, address("m0")), "cold")]),
    ("NotEnoughBalanceToStake", {}, [(NEW, "poor")]),
    ("NonAssociatedColdKey", {}, [(NEW, "cold"), (Register(2, address("new")), "rich")]),
    (
        "TooManyRegistrationsThisInterval",
        {"adjustment_interval": 99, "target_regs_per_interval": 1},
        [
            *((Register(1, address(f"new{i}")), "cold") for i in range(4)),
        ],
    ),
    ("HotKeyNotRegisteredInNetwork", {}, [(ADDRESS, "nobody")]),
    ("HotKeyNotRegisteredInSubNet", {}, [(Serve(2, "127.0.0.1", 8000), "m0")]),
    ("InvalidIpType", {}, [(Serve(1, "miner.example", 8000), "m0")]),
    ("InvalidIpAddress", {}, [(Serve(1, "0.0.0.0", 8000), "m0")]),
    ("InvalidIpAddress", {}, [(Serve(1, "255.255.255.255", 8000), "m0")]),
    ("InvalidPort", {}, [(Serve(1, "127.0.0.1", 0), "m0")]),
    ("ServingRateLimitExceeded", {"serving_rate_limit": 3}, [(ADDRESS, "m0"), (ADDRESS, "m0")]),
    ("WeightVecNotEqualSize", {}, [(SetWeights(1, (3, 4), (1,)), "v0")]),
    ("SubNetworkDoesNotExist", {}, [(SetWeights(9, (3,), (1,)), "v0")]),
    ("UidsLengthExceedUidsInSubNet", {}, [(SetWeights(1, tuple(range(6)), (1,) * 6), "v0")]),
    ("HotKeyNotRegisteredInSubNet", {}, [(SetWeights(1, (3,), (1,)), "nobody")]),
    ("NotEnoughStakeToSetWeights", {"weights_min_stake": 60 * RAO}, [(SetWeights(1, (3,), (1,)), "v1")]),
    ("IncorrectWeightVersionKey", {"weights_version_key": 7}, [(SetWeights(1, (3,), (1,), 6), "v0")]),
    ("SettingWeightsTooFast", {"weights_rate_limit": 3}, [(SetWeights(1, (3,), (1,)), "v0")] * 2),
    ("NeuronNoValidatorPermit", {"max_allowed_validators": 2}, [(SetWeights(1, (4,), (1,)), "m0")]),
    ("DuplicateUids", {}, [(SetWeights(1, (3, 3), (1, 1)), "v0")]),
    ("UidVecContainInvalidOne", {}, [(SetWeights(1, (5,), (1,)), "v0")]),
    ("WeightVecLengthIsLow", {"min_allowed_weights": 2}, [(SetWeights(1, (3,), (1,)), "v0")]),
    ("MaxWeightExceeded", {"max_weight_limit": 40000}, [(SetWeights(1, (3, 4), (9, 1)), "v0")]),
    ("HotKeyAccountNotExists", {}, [(AddStake(address("nobody"), 1), "cold")]),
    ("HotKeyNotDelegateAndSignerNotOwnHotKey", {}, [(AddStake(address("v0"), 1), "rich")]),
    ("NotEnoughBalanceToStake", {}, [(AddStake(address("v0"), 5000 * RAO), "cold")]),
    ("StakeToWithdrawIsZero", {}, [(RemoveStake(address("v0"), 0), "cold")]),
    ("NotEnoughStakeToWithdraw", {}, [(RemoveStake(address("v0"), 101 * RAO), "cold")]),
    ("HotKeyNotDelegateAndSignerNotOwnHotKey", {}, [(RemoveStake(address("v0"), 1), "rich")]),
    ("InsufficientBalance", {}, [(Transfer(address("cold"), 1001), "poor")]),
    ("Expendability", {}, [(Transfer(address("cold"), 501), "poor")]),
    ("ExistentialDeposit", {}, [(Transfer(address("nobody"), 499), "poor")]),
]


@pytest.mark.parametrize(("name", "settings", "calls"), REFUSALS, ids=[name for name, _, _ in REFUSALS])
async def test_refusal_bears_the_chains_name(open_small: Any, name: str, settings: Any, calls: Any) -> None:
    async with open_small(subnets=2, **settings) as chain:
        *before, (last, who) = calls
        for call, signer in before:
            assert await chain.submit(call, signer) is None
        balance = await chain.client.balance(address(who))
        assert await chain.submit(last, who) == name
        assert await chain.client.balance(address(who)) == balance


async def test_several_registrations_in_one_block_meet_the_limit(open_small: Any) -> None:
    async with open_small(max_regs_per_block=1) as chain:
        signer = Keypair.create_from_uri("//cold")
        hashes = [await chain.client.send(Register(1, address(f"n{i}")), signer) for i in range(2)]
        await chain.client.advance()
        assert [(await chain.client.outcome(h)).error for h in hashes] == [
            None,
            "TooManyRegistrationsThisBlock",
        ]


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
async def test_loopback_is_refused_unless_the_genesis_allows_it(open_small: Any, ip: str) -> None:
    async with open_small(allow_loopback=False) as chain:
        assert await chain.submit(Serve(1, ip, 8000), "m0") == "InvalidIpAddress"
        assert await chain.submit(Serve(1, "10.0.0.7", 8000), "m0") is None


async def test_stakes_move_once_per_interval(open_small: Any) -> None:
    async with open_small(stake_interval=5) as chain:
        assert await chain.submit(AddStake(address("v0"), RAO), "cold") is None
        assert await chain.submit(AddStake(address("v0"), RAO), "cold") == "StakeRateLimitExceeded"
        assert await chain.submit(RemoveStake(address("v0"), RAO), "cold") == "UnstakeRateLimitExceeded"
        await chain.client.advance(5)
        assert await chain.submit(RemoveStake(address("v0"), RAO), "cold") is None


async def test_a_self_weight_needs_no_permit(open_small: Any) -> None:
    async with open_small(max_allowed_validators=2) as chain:
        assert await chain.submit(SetWeights(1, (3,), (5,)), "m0") is None
        assert await chain.client.weights(1) == {3: {3: 65535}}


async def test_a_tls_key_is_published_beside_the_address(small: Any) -> None:
    assert await small.submit(ServeTls(1, "127.0.0.1", 8000, "01" + "ab" * 32), "m0") is None
    axon = (await small.client.metagraph(1)).by_hotkey(address("m0")).axon
    assert (axon.ip, axon.port, axon.certificate) == ("127.0.0.1", 8000, "01" + "ab" * 32)
