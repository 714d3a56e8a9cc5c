"""What an explorer reads, over a real socket."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession

from ranvier.chain import (
    RAO,
    AddStake,
    BadReply,
    BecomeDelegate,
    CreateSubnet,
    DissolveSubnet,
    Earned,
    Keypair,
    NotFound,
    Register,
    RemoveStake,
    RootRegister,
    SetRootWeights,
    StartCall,
    Transfer,
)
from ranvier.chain.pages import Page, every


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


async def test_old_prices_go_and_old_stakes_keep_a_value(open_small: Any) -> None:
    async with open_small(history=100, alpha=True, era="y2", emission="price") as chain:
        await chain.submit(CreateSubnet(address("hot"), "mine"), "cold")
        await chain.submit(StartCall(2), "cold")
        assert await chain.submit(AddStake(address("v0"), 10 * RAO, 2), "rich") is None
        bought = (await chain.client.block()).number
        await chain.client.advance(1024 - bought)
        kept = await chain.server.node.history(
            lambda store: store._query("SELECT block FROM price ORDER BY block")
        )
        assert kept[0][0] == 1024 - 101
        points = await chain.client.account_history(address("rich"), 0)
        assert points[0].block < 1024 - 101
        assert all(point.alpha_value > 9 * RAO for point in points)


async def get(small: Any, path: str, **query: str) -> tuple[int, Any]:
    async with ClientSession(small.server.endpoint) as session, session.get(path, params=query) as got:
        return got.status, await got.json()


async def test_histories_come_in_bounded_pages(small: Any) -> None:
    for number in range(7):
        await small.submit(Transfer(address(f"someone{number}"), RAO), "rich")
    await small.client.advance(33)
    rich, seen, since = address("rich"), list[int](), 0
    while since is not None:
        status, page = await get(small, f"/v1/accounts/{rich}/history", since=str(since), limit="3")
        assert status == 200
        assert len(page["items"]) <= 3
        seen += [item["block"] for item in page["items"]]
        since = page["next"]
    whole = await small.client.account_history(rich, 0)
    assert seen == [point.block for point in whole]
    assert [point.free // RAO for point in whole] == [99, 98, 97, 96, 95, 94, 93]
    for kind, key, asked in (("history", "block", "2"), ("epochs", "block", "1")):
        blocks, since = list[int](), 0
        while since is not None:
            _, page = await get(small, f"/v1/subnets/1/{kind}", since=str(since), limit=asked)
            blocks += [item[key] for item in page["items"]]
            since = page["next"]
        assert blocks == [2, 7, 12, 17, 22, 27, 32, 37]
    # What a page begins with does not depend on where it begins.
    _, page = await get(small, f"/v1/accounts/{rich}/history", since="3", limit="1")
    assert page["items"][0]["free"] == 96 * RAO


@pytest.mark.parametrize(
    ("path", "most"), [("accounts/{rich}/history", 500), ("subnets/1/history", 500), ("subnets/1/epochs", 64)]
)
async def test_a_page_has_a_largest_size(small: Any, path: str, most: int) -> None:
    path = "/v1/" + path.format(rich=address("rich"))
    assert (await get(small, path, since="0", limit=str(most)))[0] == 200
    for wrong in ("0", "-1", "many", "", str(most + 1)):
        status, reply = await get(small, path, since="0", limit=wrong)
        assert status == 400
        assert "limit=N" in reply["message"]
    assert (await get(small, path))[0] == 400


@pytest.mark.parametrize("pages", ["500", "3"])
async def test_a_long_history_is_whole_for_a_client(
    small: Any, monkeypatch: pytest.MonkeyPatch, pages: str
) -> None:
    from ranvier.chain import routes

    monkeypatch.setattr(routes, "MOST_POINTS", int(pages))
    monkeypatch.setattr(routes, "MOST_EPOCHS", int(pages))
    await small.client.advance(52)
    assert len(await small.client.epochs(1, 0)) == len(await small.client.subnet_history(1, 0)) == 11
    owner = await small.client.account_history(address("owner"), 0)
    assert [point.block for point in owner] == list(range(1, 53)), "its part of every block"
    assert [point.free for point in owner] == sorted(point.free for point in owner)


async def test_a_page_of_epochs_is_bounded_by_their_rows(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five neurons: two epochs are ten rows; one is there however many rows it has."""
    from ranvier.chain import history

    await small.client.advance(33)
    for rows, expected in ((10, [2, 7]), (14, [2, 7]), (15, [2, 7, 12]), (1, [2])):
        monkeypatch.setattr(history, "MOST_ROWS", rows)
        _, page = await get(small, "/v1/subnets/1/epochs", since="0")
        assert [item["block"] for item in page["items"]] == expected
        assert page["next"] == expected[-1]
        assert len(await small.client.epochs(1, 0)) == 7


async def test_pages_that_lead_nowhere_end() -> None:
    async def stuck(since: int) -> Page[int]:
        return Page((since,), since)

    with pytest.raises(BadReply, match="goes on from block 3"):
        await every(stuck, 3)


async def test_a_number_that_is_used_again_has_a_history_of_its_own(open_small: Any) -> None:
    async with open_small(subnet_limit=1, subnet_immunity=5) as chain:
        client = chain.client
        await client.advance(7)
        assert [epoch.block for epoch in await client.epochs(1, 0)] == [2, 7]
        await client.advance(4)
        # Block 12 has an epoch of the old one first, and then founds the new one.
        assert await chain.submit(CreateSubnet(address("hot"), "next"), "cold") is None
        assert [info.created_at for info in await client.subnets()] == [12]
        assert await client.epochs(1, 0) == ()
        assert [epoch.block for epoch in await client.epochs(1, 0, former=True)] == [2, 7, 12]
        (founding,) = await client.subnet_history(1, 0)
        assert (founding.block, founding.recycled) == (12, 0)
        assert [point.block for point in await client.subnet_history(1, 0, former=True)] == [2, 7, 12]
        await chain.submit(Register(1, address("one")), "cold")
        assert [point.block for point in await client.subnet_history(1, 0)] == [12, 13]
        due = (await client.subnet_detail(1)).next_epoch
        await client.advance(due - 13)
        assert [epoch.block for epoch in await client.epochs(1, 0)] == [due]
        assert await client.emissions(1, 0) == {address("one"): Earned(0, 0)}
        status, reply = await get(chain, "/v1/subnets/1/epochs", since="0", former="yes")
        assert (status, reply["name"]) == (400, "BadRequest")


async def test_what_a_subnet_was_can_be_read_when_it_is_no_more(open_small: Any) -> None:
    async with open_small() as chain:
        await chain.submit(CreateSubnet(address("hot"), "mine"), "cold")
        await chain.submit(Register(2, address("one")), "cold")
        due = (await chain.client.subnet_detail(2)).next_epoch
        await chain.client.advance(due - 2)
        await chain.submit(DissolveSubnet(2), "cold")
        with pytest.raises(NotFound):
            await chain.client.epochs(2, 0)
        assert [epoch.block for epoch in await chain.client.epochs(2, 0, former=True)] == [due]


async def test_alpha_is_in_the_history_of_accounts_and_delegates(open_small: Any) -> None:
    async with open_small(alpha=True, era="y2", emission="price") as chain:
        client = chain.client
        await chain.submit(CreateSubnet(address("hot"), "mine"), "cold")
        assert await chain.submit(StartCall(2), "cold") is None
        assert await chain.submit(AddStake(address("v0"), 10 * RAO, 2), "rich") is None
        bought = (await client.block()).number
        assert await chain.submit(AddStake(address("v0"), RAO), "rich") is None
        await client.advance(3)
        assert await chain.submit(RemoveStake(address("v0"), 2 * RAO, 2), "rich") is None
        now = await client.account(address("rich"))
        points = {point.block: point for point in await client.account_history(address("rich"), 0)}
        assert points[bought].alpha.keys() == {2}
        assert 10 * RAO < points[bought].alpha_value < 13 * RAO  # the purchase has raised the price
        assert points[bought].staked == 0
        last = points[max(points)]
        (held,) = now.alpha
        assert last.alpha == {2: held.alpha}
        assert last.alpha_value == pytest.approx(held.value, rel=1e-12)
        assert held.worth < held.value
        assert (last.free, last.staked) == (now.free, now.stakes[0].rao)
        price = (await client.subnet_detail(2)).market.price
        assert held.value == pytest.approx(held.alpha * price)
        assert (await client.account_history(address("rich"), max(points) - 1))[0] == last
        delegate = next(one for one in await client.delegates() if one.hotkey == address("v0"))
        (on_it,) = delegate.alpha
        assert (on_it.netuid, on_it.alpha, on_it.own) == (2, held.alpha, 0)
        assert on_it.value == delegate.alpha_value == held.value
        assert delegate.nominators == 1
        assert (await client.subnet_history(2, 0))[-1].alpha_price == pytest.approx(price, rel=0.3)
        # Carried elsewhere, the account still is worth what it was.
        (await client.checkpoint()).restore(chain.folder.parent / "copy")
    async with open_small("copy", alpha=True, era="y2", emission="price") as chain:
        (point,) = await chain.client.account_history(address("rich"), 0)
        assert (point.alpha, point.alpha_value) == (last.alpha, last.alpha_value)


@pytest.mark.parametrize("wait", ["nan", "soon", ""])
async def test_a_wait_is_a_number(small: Any, wait: str) -> None:
    asked = {"after": "0", "wait": wait}
    async with (
        ClientSession(small.server.endpoint) as session,
        session.get("/v1/blocks", params=asked) as got,
    ):
        assert got.status == 400
