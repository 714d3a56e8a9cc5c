"""What a block does: the order of its steps, who is paid what and when, and that it is the same every time."""

from __future__ import annotations

from typing import Any

import pytest

from ranvier.chain import RAO, AddStake, CallRefused, Keypair, Register, Serve, SetWeights, Transfer
from ranvier.chain.emission import split_owner


def address(name: str) -> str:
    return str(Keypair.create_from_uri(f"//{name}").ss58_address)


async def agree(chain: Any) -> None:
    """All validators weigh miner m0 nine times as much as m1, in block 1."""
    for name in ("v0", "v1", "v2"):
        await chain.client.send(SetWeights(1, (3, 4), (9, 1)), Keypair.create_from_uri(f"//{name}"))
    await chain.client.advance()
    assert len(await chain.client.weights(1)) == 3


async def test_an_epoch_splits_18_41_41_and_pays_in_the_next_block(small: Any) -> None:
    await agree(small)
    await small.client.advance(19)
    assert [epoch.block for epoch in await small.client.epochs(1, 0)] == [2, 7, 12, 17]
    *_, before, last = await small.client.epochs(1, 0)
    server = sum(row.server_emission for row in last.rows)
    validator = sum(row.validator_emission for row in last.rows)
    made = 5 * RAO
    assert server == pytest.approx(0.41 * made, rel=1e-4)
    assert validator == pytest.approx(0.41 * made, rel=1e-4)
    earned = await small.client.emissions(1, before.block)
    assert earned[address("m0")].server == pytest.approx(9 * earned[address("m1")].server, rel=1e-3)
    assert earned[address("v0")].validator == pytest.approx(2 * earned[address("v1")].validator, rel=1e-2)
    at_17 = await small.client.stake(address("m0"))
    owner = await small.client.balance(address("owner"))
    assert (await small.client.block()).number == 20
    assert owner == pytest.approx(20 * 0.18 * RAO, rel=1e-4)
    assert at_17 == sum(e.rows[3].server_emission for e in await small.client.epochs(1, 0))


async def test_emission_of_an_epoch_is_stake_one_block_later(small: Any) -> None:
    await agree(small)
    await small.client.advance()
    assert (await small.client.metagraph(1)).last_step == 2 == (await small.client.block()).number
    assert await small.client.stake(address("m0")) == 0
    await small.client.advance()
    [epoch] = await small.client.epochs(1, 0)
    assert await small.client.stake(address("m0")) == epoch.rows[3].server_emission > 0


async def test_the_same_genesis_and_calls_give_the_same_state(open_small: Any) -> None:
    hashes = []
    for folder in ("one", "two"):
        async with open_small(folder) as chain:
            await agree(chain)
            await chain.submit(Register(1, address("new")), "cold")
            await chain.submit(Serve(1, "127.0.0.1", 9000), "new")
            await chain.submit(Transfer(address("cold"), 1), "rich")
            await chain.client.advance(10)
            hashes.append(await chain.client.state_hash())
            assert (await chain.client.block()).timestamp == 1_700_000_000 + 14
    assert hashes[0] == hashes[1]
    async with open_small("three") as chain:
        await chain.client.advance(14)
        assert await chain.client.state_hash() != hashes[0]


async def test_a_full_subnet_replaces_a_neuron_that_leaves_nothing_behind(open_small: Any) -> None:
    async with open_small(max_allowed_uids=5, immunity_period=0) as chain:
        await agree(chain)
        await chain.client.advance(10)
        earned = await chain.client.stake(address("m1"))
        assert earned > 0
        cold = await chain.client.balance(address("cold"))
        assert await chain.submit(Register(1, address("new")), "cold") is None
        graph = await chain.client.metagraph(1)
        new = graph.by_hotkey(address("new"))
        assert new is not None
        assert new.uid == 4
        assert graph.by_hotkey(address("m1")) is None
        assert (new.stake, new.incentive, new.emission, new.axon) == (0, 0, 0, None)
        assert all(4 not in row for row in (await chain.client.weights(1)).values())
        # The old hotkey's stake went back to its coldkey, which also paid the price (and is paid each epoch).
        assert await chain.client.stake(address("m1")) == 0
        assert await chain.client.balance(address("cold")) > cold - RAO // 10


async def test_the_successor_of_a_validator_inherits_no_weights(open_small: Any) -> None:
    async with open_small(max_allowed_uids=5, immunity_period=0) as chain:
        for name, weights in (("v0", (9, 9)), ("v1", (9, 9)), ("v2", (0, 0))):
            await chain.submit(SetWeights(1, (3, 4), weights), name)
        await chain.client.advance(5)
        assert 2 in await chain.client.weights(1)
        assert await chain.submit(Register(1, address("new")), "cold") is None
        new = (await chain.client.metagraph(1)).by_hotkey(address("new"))
        assert new is not None
        assert new.uid == 2
        assert set(await chain.client.weights(1)) == {0, 1}
        assert 2 not in await chain.client.bonds(1)


async def test_registration_burns_its_price_and_gives_the_next_uid(small: Any) -> None:
    before, cold = await small.client.issuance(), await small.client.balance(address("cold"))
    [subnet] = await small.client.subnets()
    assert await small.submit(Register(1, address("new")), "cold") is None
    assert await small.client.balance(address("cold")) == cold - subnet.burn
    assert await small.client.issuance() == before - subnet.burn + split_owner(RAO)[0]
    neuron = (await small.client.metagraph(1)).by_hotkey(address("new"))
    assert neuron is not None
    assert (neuron.uid, neuron.coldkey, neuron.registered_at) == (5, address("cold"), 1)


async def test_events_tell_what_happened_in_order(small: Any) -> None:
    await small.submit(AddStake(address("v0"), 5), "cold")
    await small.submit(Serve(1, "127.0.0.1", 9000), "m0")
    names = [(event.block, event.name) for event in await small.client.events(0)]
    assert names == [(1, "StakeAdded"), (2, "EpochRan"), (2, "AxonServed")]
    assert (await small.client.events(1))[1].data["port"] == 9000


async def test_history_ends_where_the_genesis_says(open_small: Any) -> None:
    async with open_small(history=100) as chain:
        await chain.client.advance(150)
        assert (await chain.client.epochs(1, 0))[0].block == 52
        first = await anext(aiter(chain.client.blocks(0)))
        assert first.number == 1, "blocks stay, with their calls: a replay needs all of them"


async def test_the_2026_rules_run_epochs_at_their_tempo_and_move_prices(open_small: Any) -> None:
    async with open_small(era="y2") as chain:
        [subnet] = await chain.client.subnets()
        assert await chain.submit(Register(1, address("new")), "cold") is None
        [dearer] = await chain.client.subnets()
        assert dearer.burn > subnet.burn
        await chain.client.advance(13)
        assert [epoch.block for epoch in await chain.client.epochs(1, 0)] == [5, 9, 13]
        [cheaper] = await chain.client.subnets()
        assert cheaper.burn < dearer.burn


async def test_a_wall_clock_cannot_be_advanced(open_small: Any) -> None:
    async with open_small(clock="wall", block_time=3600.0) as chain:
        with pytest.raises(CallRefused, match="BadOrigin"):
            await chain.client.advance()
