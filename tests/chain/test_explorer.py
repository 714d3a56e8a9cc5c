"""What an explorer reads, over a real socket."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession

from ranvier.chain import (
    RAO,
    AddStake,
    BecomeDelegate,
    CreateSubnet,
    Keypair,
    Register,
    RootRegister,
    SetRootWeights,
    Transfer,
)


def address(name: str) -> str:
    return str(Keypair.create_from_uri(f"//{name}").ss58_address)


async def test_accounts_now_and_over_time(small: Any) -> None:
    cold, client = address("cold"), small.client
    await small.submit(BecomeDelegate(address("v0"), 5000), "cold")
    await small.submit(AddStake(address("v0"), 3 * RAO), "rich")
    await small.submit(Transfer(address("poor"), RAO), "rich")
    await small.submit(CreateSubnet(address("hot"), "mine"), "cold")
    rich = await client.account(address("rich"))
    assert rich.free == 96 * RAO
    assert [(one.hotkey, one.rao >= 3 * RAO) for one in rich.stakes] == [(address("v0"), True)]
    founder = await client.account(cold)
    assert (founder.subnets, founder.locked) == ((2,), 100 * RAO)
    assert address("hot") in founder.hotkeys
    points = await client.account_history(address("rich"), -0)
    assert [(p.block, p.free) for p in points][:2] == [(2, 97 * RAO), (3, 96 * RAO)]
    assert points[0].staked == 3 * RAO
    await client.advance(12)
    assert (await client.account_history(address("rich"), 4))[-1].staked == (
        await client.account(address("rich"))
    ).stakes[0].rao
    (own, *_) = await client.delegates()
    assert (own.hotkey, own.take, own.nominators, own.netuids) == (address("v0"), 5000, 1, (1,))


async def test_subnets_over_time(small: Any) -> None:
    client = small.client
    await small.submit(Register(1, address("a")), "cold")
    await small.submit(Register(1, address("b")), "cold")
    await client.advance(10)
    points = await client.subnet_history(1, 0)
    detail = await client.subnet_detail(1)
    assert [p.neurons for p in points][:1] == [6]
    assert points[-1].neurons == 7
    assert detail.recycled == points[-1].recycled == 2 * RAO // 10
    assert points[-1].share == 1.0
    assert detail.next_epoch is not None
    head = (await client.block()).number
    assert head < detail.next_epoch <= head + 5
    await client.advance(detail.next_epoch - head)
    assert (await client.epochs(1, 0))[-1].block == detail.next_epoch


async def test_the_network_and_its_root(small: Any) -> None:
    client = small.client
    await small.submit(RootRegister(address("v0")), "cold")
    await small.submit(SetRootWeights(address("v0"), (1,), (7,)), "cold")
    (seat,) = await client.root()
    assert (seat.hotkey, seat.coldkey, seat.weights) == (address("v0"), address("cold"), {1: 65535})
    network = await client.network()
    assert network.senate == (address("v0"),)
    assert network.lock_cost == network.parameters.lock_minimum
    assert network.issuance == await client.issuance()
    assert (network.subnets, network.motions) == (1, ())


async def test_old_points_go_and_what_later_ones_add_to_stays(open_small: Any) -> None:
    async with open_small(history=100) as chain:
        await chain.submit(Transfer(address("poor"), RAO), "rich")
        await chain.submit(Transfer(address("poor"), RAO), "rich")
        await chain.client.advance(1021)
        await chain.submit(AddStake(address("v0"), RAO), "cold")
        points = await chain.client.account_history(address("rich"), 0)
        assert [(p.block, p.free) for p in points] == [(2, 98 * RAO)]
        assert (await chain.client.subnet_history(1, 0))[0].block >= 924


@pytest.mark.parametrize("wait", ["nan", "soon", ""])
async def test_a_wait_is_a_number(small: Any, wait: str) -> None:
    asked = {"after": "0", "wait": wait}
    async with (
        ClientSession(small.server.endpoint) as session,
        session.get("/v1/blocks", params=asked) as got,
    ):
        assert got.status == 400
