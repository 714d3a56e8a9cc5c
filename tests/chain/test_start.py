"""A subnet of 2026 waits for its owner: no emission, no trades, no alpha until then; in 2024 it runs at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ranvier.chain import (
    RAO,
    AddStake,
    CallRefused,
    CreateSubnet,
    Genesis,
    Keypair,
    MoveStake,
    Register,
    SetHyperparameter,
    StartCall,
)
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.replay import replay

Made = Callable[..., Genesis]
DELAY = 7


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


async def refused(chain: EmbeddedChain, call: Any, signer: str) -> str:
    with pytest.raises(CallRefused) as caught:
        await chain.carry_out(call, key(signer))
    return caught.value.name


def of_2026(make_genesis: Made, **changes: Any) -> Genesis:
    given = {"era": "y2", "alpha": True, "emission": "price", "start_delay": DELAY, "tempo": 5, **changes}
    return make_genesis(**given)


async def alpha_of(chain: EmbeddedChain, netuid: int) -> tuple[int, int]:
    """All alpha and the pool's TAO."""
    market, ledger = await chain._node.read(lambda s: (s.subnets[netuid].market, s.ledger))
    assert market is not None
    return market.issued, ledger.pools[netuid]


async def test_until_its_owner_starts_it_a_subnet_makes_nothing_and_is_not_traded(make_genesis: Made) -> None:
    async with EmbeddedChain(of_2026(make_genesis)) as chain:
        await chain.carry_out(CreateSubnet(address("hot"), "new"), key("cold"))
        still = await alpha_of(chain, 2)
        assert await refused(chain, AddStake(address("v0"), RAO, 2), "rich") == "SubtokenDisabled"
        assert (
            await refused(chain, MoveStake(address("v0"), address("v1"), RAO, 0, 2), "cold")
            == "SubtokenDisabled"
        )
        await chain.advance(DELAY - 4)
        assert await alpha_of(chain, 2) == still
        assert [info.emission_share for info in await chain.subnets()] == [1.0, 0.0]
        assert await refused(chain, StartCall(2), "rich") == "NotSubnetOwner"
        assert await refused(chain, StartCall(9), "cold") == "SubnetNotExists"
        assert await refused(chain, StartCall(1), "owner") == "FirstEmissionBlockNumberAlreadySet"


async def test_it_starts_after_the_chains_delay_and_earns_from_the_block_after(make_genesis: Made) -> None:
    async with EmbeddedChain(of_2026(make_genesis)) as chain:
        born = (await chain.carry_out(CreateSubnet(address("hot"), "new"), key("cold"))).block
        await chain.carry_out(Register(2, address("miner")), key("cold"))
        still = await alpha_of(chain, 2)
        await chain.advance(born + DELAY - 2 - (await chain.block()).number)
        assert await refused(chain, StartCall(2), "cold") == "StartCallNotReady"
        started = (await chain.carry_out(StartCall(2), key("cold"))).block
        assert started == born + DELAY
        assert await alpha_of(chain, 2) == still, "the block of the call makes nothing yet"
        await chain.advance(1)
        issued, _ = await alpha_of(chain, 2)
        assert issued > still[0]
        assert await refused(chain, StartCall(2), "cold") == "FirstEmissionBlockNumberAlreadySet"
        await chain.carry_out(AddStake(address("v0"), RAO, 2), key("rich"))
        assert {"netuid": 2, "block": started + 1} in [e.data for e in await chain.events(started - 1)]
        ledger = await chain._node.read(lambda state: state.ledger)
        assert ledger.total() == ledger.issuance


async def test_a_subnet_that_takes_nobody_has_no_emission_by_the_preset(make_genesis: Made) -> None:
    """By the chain's root only: in 2026 an owner cannot close registrations."""
    born = of_2026(make_genesis, emission_when_closed=False, subnets=2)
    settings = born.subnets[1].hyperparameters.model_copy(update={"registration_allowed": False})
    closed = born.subnets[1].model_copy(update={"hyperparameters": settings, "emission_share": 1.0})
    async with EmbeddedChain(born.model_copy(update={"subnets": (born.subnets[0], closed)})) as chain:
        before = await alpha_of(chain, 2)
        await chain.advance(3)
        assert await alpha_of(chain, 2) == before
        assert [info.emission_share for info in await chain.subnets()] == [1.0, 0.0]
        assert (
            await refused(chain, SetHyperparameter(2, "registration_allowed", 1), "owner") == "NotSubnetOwner"
        )


async def test_in_2024_there_is_nothing_to_start(make_genesis: Made) -> None:
    async with EmbeddedChain(make_genesis()) as chain:
        await chain.carry_out(CreateSubnet(address("hot"), "new"), key("cold"))
        assert await refused(chain, StartCall(2), "cold") == "CallDisabled"
        assert [info.emission_share > 0 for info in await chain.subnets()] == [True, True]


async def test_a_chain_with_a_start_is_made_again(open_small: Any, tmp_path: Path) -> None:
    async with open_small(era="y2", alpha=True, emission="price") as chain:
        assert await chain.submit(CreateSubnet(address("hot"), "new"), "cold") is None
        assert (await chain.client.subnet_detail(2)).starts_at is None
        assert await chain.submit(StartCall(2), "cold") is None
        assert await chain.submit(AddStake(address("v0"), RAO, 2), "rich") is None
        await chain.client.advance(12)
        detail = await chain.client.subnet_detail(2)
        assert detail.starts_at is not None
        assert detail.may_start_at <= detail.starts_at
        before = await chain.client.state_hash()
    assert replay(tmp_path / "chain").state_hash == before
