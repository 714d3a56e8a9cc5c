"""What every back end must do, once for all of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ranvier.chain import (
    RAO,
    Ability,
    AddStake,
    ChainError,
    ChainTimeout,
    ChainUnreachable,
    CommitSealed,
    CommitTimelocked,
    CommitWeights,
    Keypair,
    NotFound,
    Register,
    RemoveStake,
    ResetBonds,
    RevealWeights,
    Serve,
    ServeTls,
    SetWeights,
    StartCall,
    Transfer,
    commit_hash,
)
from ranvier.chain.calls import CALL_TYPES
from ranvier.chain.subtensor.plans import sample_plans

SALT = (5, 6, 7)


def address(name: str) -> str:
    return str(Keypair.create_from_uri(f"//{name}").ss58_address)


async def test_it_knows_its_chain(contract: Any) -> None:
    client = contract.client
    assert await client.genesis() == contract.genesis.hash()
    assert await client.block_time() == contract.genesis.block_time
    block = await client.block()
    assert block.number >= 0
    assert len(block.hash) == 66
    assert block.timestamp > 1_600_000_000
    assert await client.issuance() >= contract.genesis.issuance()
    assert client.endpoint


async def test_blocks_come_in_order_and_none_is_left_out(contract: Any) -> None:
    await contract.until(5)
    seen = []
    async for block in contract.client.blocks(2):
        seen.append(block)
        if len(seen) == 8:
            break
    assert [block.number for block in seen] == list(range(3, 11))
    assert len({block.hash for block in seen}) == 8
    async for block in contract.client.blocks():
        assert block.number >= 10
        break


async def test_the_metagraph_has_every_column(contract: Any) -> None:
    client = contract.client
    await contract.submit(Serve(1, "10.0.0.7", 8091, 3), "m0")
    await contract.submit(SetWeights(1, (3, 4), (1, 2)), "v0")
    await contract.until((await client.block()).number + 12)
    ours, theirs = await client.metagraph(1), await contract.behind.metagraph(1)
    assert (ours.netuid, ours.name, ours.tempo) == (1, "small", theirs.tempo)
    assert ours.last_step > 0
    assert len(ours.block_hash) == 66
    by_hotkey = {neuron.hotkey: neuron for neuron in ours.neurons}
    miner, validator = by_hotkey[address("m0")], by_hotkey[address("v0")]
    assert (miner.axon.ip, miner.axon.port, miner.axon.version) == ("10.0.0.7", 8091, 3)
    assert validator.axon is None
    assert (validator.uid, validator.coldkey, validator.validator_permit) == (0, address("cold"), True)
    assert validator.stake >= 100 * RAO
    assert validator.last_update > 0
    assert miner.incentive > 0
    assert validator.dividends > 0
    assert miner.emission > 0
    if contract.name != "subtensor-2025":
        assert validator.validator_trust > 0
    assert (await client.metagraph(2)).neurons == ()


async def test_an_unknown_subnet_is_not_found(contract: Any) -> None:
    client, own = contract.client, address("v0")
    for reading in (client.metagraph, client.hyperparameters, client.weights, client.bonds):
        with pytest.raises(NotFound, match="no subnet 77"):
            await reading(77)
    for reading in (client.epochs, client.emissions, lambda netuid, _: client.commits(netuid, own)):
        with pytest.raises(NotFound, match="no subnet 77"):
            await reading(77, 0)


async def test_what_is_no_address_is_not_found(contract: Any) -> None:
    for reading in (contract.client.balance, contract.client.stake):
        with pytest.raises(NotFound, match="no ss58 address"):
            await reading("nobody")


async def test_a_call_sent_twice_is_carried_out_twice(contract: Any) -> None:
    call = Transfer(address("nobody"), 2 * RAO)
    first = await contract.submit(call, "rich")
    second = await contract.submit(call, "rich")
    assert first.call_hash != second.call_hash
    assert second.block >= first.block
    assert await contract.client.balance(address("nobody")) == 4 * RAO


async def test_a_slow_reader_misses_no_block(contract: Any) -> None:
    """The subscription runs on while nobody takes its blocks."""
    seen = []
    async for block in contract.client.blocks():
        seen.append(block.number)
        if len(seen) == 3:
            await contract.until(block.number + 12)
        if len(seen) == 20:
            break
    assert seen == list(range(seen[0], seen[0] + 20))


async def test_a_closed_client_says_so(contract: Any) -> None:
    await contract.client.block()
    await contract.client.close()
    await contract.client.close()
    with pytest.raises(ChainError):
        await contract.client.block()
    with pytest.raises(ChainError):
        await contract.submit(Transfer(address("cold"), RAO), "rich", deadline=2.0)


async def test_hyperparameters_and_subnets(open_contract: Any) -> None:
    settings = {"tempo": 7, "weights_rate_limit": 3, "commit_reveal": True, "reveal_period": 2}
    liquid = {"liquid_alpha": True, "alpha_low": 1700, "alpha_high": 60000}
    async with open_contract(**settings, **liquid) as contract:
        found = await contract.client.hyperparameters(1)
        assert (found.tempo, found.weights_rate_limit) == (7, 3)
        assert (found.commit_reveal, found.reveal_period) == (True, 2)
        assert (found.liquid_alpha, found.alpha_low, found.alpha_high) == (True, 1700, 60000)
        expected = await contract.behind.hyperparameters(1)
        here_only = {"burn_half_life", "burn_increase_percent"}
        assert found.model_dump(exclude=here_only) == expected.model_dump(exclude=here_only)
        first, second = await contract.client.subnets()
        assert (first.netuid, second.netuid) == (1, 2)
        assert (first.tempo, first.neurons, first.max_neurons) == (7, 5, 256)
        assert first.owner == address("owner")
        assert first.burn > 0
        if contract.name != "subtensor-2025":
            assert (first.name, first.emission_share) == ("small", 1.0)


async def test_registering_costs_and_gives_a_uid(contract: Any) -> None:
    before = await contract.client.balance(address("rich"))
    receipt = await contract.submit(Register(1, address("new")), "rich")
    assert receipt.block > 0
    neuron = (await contract.client.metagraph(1)).by_hotkey(address("new"))
    assert (neuron.uid, neuron.coldkey) == (5, address("rich"))
    assert neuron.registered_at == receipt.block
    assert await contract.client.balance(address("rich")) < before
    assert await contract.client.balance(address("nobody")) == 0


async def test_stake_moves_and_comes_back(contract: Any) -> None:
    before = await contract.client.stake(address("v0"))
    await contract.submit(AddStake(address("v0"), 5 * RAO), "cold")
    held = await contract.client.stake(address("v0"))
    assert held >= before + 5 * RAO
    await contract.submit(RemoveStake(address("v0"), 5 * RAO), "cold")
    assert await contract.client.stake(address("v0")) < held


async def test_a_transfer(contract: Any) -> None:
    await contract.submit(Transfer(address("nobody"), 3 * RAO), "rich")
    assert await contract.client.balance(address("nobody")) == 3 * RAO


async def test_a_tls_key_is_taken(contract: Any) -> None:
    await contract.submit(ServeTls(1, "10.0.0.8", 8092, "01" + "cd" * 32), "m1")
    behind = (await contract.behind.metagraph(1)).by_hotkey(address("m1")).axon
    assert behind.certificate == "01" + "cd" * 32
    assert (await contract.client.metagraph(1)).by_hotkey(address("m1")).axon.port == 8092


async def test_weights_are_stored_and_read_back(contract: Any) -> None:
    await contract.submit(SetWeights(1, (3, 4), (1, 2)), "v0")
    assert await contract.client.weights(1) == {0: {3: 32768, 4: 65535}}
    await contract.until((await contract.client.block()).number + 12)
    bonds = await contract.client.bonds(1)
    assert set(bonds[0]) == {3, 4}


async def test_promised_weights_are_seen_and_revealed(open_contract: Any) -> None:
    async with open_contract(commit_reveal=True, tempo=20) as contract:
        client, own = contract.client, address("v0")
        hashed = commit_hash(own, 1, (3,), (9,), SALT)
        receipt = await contract.submit(CommitWeights(1, hashed), "v0")
        (promise,) = await client.commits(1, own)
        assert (promise.hash, promise.block) == (hashed, receipt.block)
        assert promise.first_reveal <= promise.last_reveal
        assert (await client.metagraph(1)).by_hotkey(own).last_update == receipt.block
        assert await client.commits(1, address("v1")) == ()
        await contract.until(promise.first_reveal - 1)
        await contract.submit(RevealWeights(1, (3,), (9,), SALT), "v0")
        assert await client.weights(1) == {0: {3: 65535}}
        assert await client.commits(1, own) == ()


async def test_locked_weights_are_opened_by_the_chain(open_contract: Any) -> None:
    async with open_contract(commit_reveal=True, commit_reveal_version=4, tempo=20) as contract:
        client, own = contract.client, address("v0")
        if not contract.is_local:
            assert (await client.supports(CommitTimelocked)).ability is found_timelock(contract)
            return
        assert (await client.supports(CommitTimelocked)).ability is Ability.WORKS
        receipt = await contract.submit(CommitTimelocked(1, (3,), (9,)), "v0")
        (promise,) = await client.commits(1, own)
        assert (promise.hash, promise.block) == ("", receipt.block)
        assert (await client.metagraph(1)).by_hotkey(own).last_update == receipt.block
        await contract.until(promise.first_reveal - 1)
        assert await client.weights(1) == {}
        await contract.until(promise.first_reveal)
        assert await client.weights(1) == {0: {3: 65535}}
        assert await client.commits(1, own) == ()


async def test_what_a_chain_supports_is_told_without_sending(contract: Any) -> None:
    found = {kind: await contract.client.supports(kind) for kind in CALL_TYPES}
    assert found.pop(CommitTimelocked).ability is (
        Ability.IMPOSSIBLE if contract.is_local else found_timelock(contract)
    )
    assert found.pop(CommitSealed).ability is Ability.IMPOSSIBLE
    assert found.pop(ResetBonds).ability is Ability.IMPOSSIBLE
    started = found.pop(
        StartCall
    ).ability  # The local chains of this suite are of 2024, which knows no start.
    assert started is (Ability.IMPOSSIBLE if contract.is_local else Ability.WORKS)
    older = {SetWeights, CommitWeights, RevealWeights} if contract.name == "subtensor-2025" else set()
    for kind, support in found.items():
        if not contract.is_local and not sample_plans(kind):
            assert support.ability is Ability.IMPOSSIBLE, kind
            continue
        assert support.ability is (Ability.FALLBACK if kind in older else Ability.WORKS), kind
        assert support
        assert support.detail
    assert all(not substrate.submitted for substrate in contract.opened)


def found_timelock(contract: Any) -> Ability:
    """The local chain behind opens no locked weights, so its shim offers no such call."""
    return Ability.IMPOSSIBLE


async def test_events_and_epochs(contract: Any) -> None:
    start = (await contract.client.block()).number
    await contract.submit(SetWeights(1, (3, 4), (1, 1)), "v0")
    await contract.until(start + 14)
    events = await contract.client.events(start)
    assert "WeightsSet" in [event.name for event in events]
    assert [event.block for event in events] == sorted(event.block for event in events)
    epochs = await contract.client.epochs(1, 0)
    newest = epochs[-1]
    assert {row.hotkey for row in newest.rows} == {address(name) for name in ("v0", "v1", "v2", "m0", "m1")}
    paid = await contract.client.emissions(1, newest.block - 1)
    assert paid[address("m0")].server > 0
    assert paid[address("v0")].validator > 0
    assert paid[address("m0")].validator == 0


async def test_a_deadline_holds_for_a_call(open_contract: Any) -> None:
    async with open_contract(block_time=30.0) as contract:
        with pytest.raises(ChainTimeout):
            await contract.submit(Transfer(address("cold"), RAO), "rich", deadline=0.2)


async def test_only_chain_errors_come_out_of_a_chain_that_is_gone(open_contract: Any) -> None:
    async with open_contract() as contract:
        await contract.client.block()
    with pytest.raises(ChainError):
        await contract.client.block()
    await contract.client.close()


async def test_several_use_one_client_at_a_time(contract: Any) -> None:
    readings = [contract.client.metagraph(1) for _ in range(5)] + [contract.client.block() for _ in range(5)]
    assert len(await asyncio.gather(*readings)) == 10
    assert len(contract.opened) <= 1


async def test_a_silent_connection_is_replaced_within_three_blocks(contract: Any) -> None:
    """Half-dead: the socket is up, requests are answered, and no block arrives."""
    if contract.is_local:
        pytest.skip("the local client asks for each block; its requests have deadlines")
    seen: list[int] = []

    async def follow() -> None:
        async for block in contract.client.blocks():
            seen.append(block.number)  # noqa: PERF401 - watched from outside while it grows

    task = asyncio.create_task(follow())
    try:
        await reached(lambda: len(seen) >= 3)
        contract.opened[0].silent.set()
        await reached(lambda: len(contract.opened) == 2)
        mark = len(seen)
        await reached(lambda: len(seen) >= mark + 3)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert contract.opened[0].closed
    assert seen == list(range(seen[0], seen[0] + len(seen)))


async def reached(condition: Any) -> None:
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the condition did not come true")


async def test_a_node_that_accepts_and_says_nothing_meets_the_deadline(back_end: str) -> None:
    """Over real sockets, with the SDK's own connection."""
    held: list[asyncio.StreamWriter] = []

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    if back_end == "embedded":
        pytest.skip("nothing lies between it and its chain")
    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client: Any
        if back_end == "local":
            from ranvier.chain.local import LocalChain

            client = LocalChain(f"http://127.0.0.1:{port}", deadline=0.5)
        else:
            from ranvier.chain.subtensor import SubtensorChain

            client = SubtensorChain(f"ws://127.0.0.1:{port}", deadline=0.5)
        try:
            with pytest.raises((ChainTimeout, ChainUnreachable)):
                await client.block()
        finally:
            await client.close()
            for writer in held:
                writer.close()


async def test_an_endpoint_where_nobody_listens_is_unreachable(back_end: str) -> None:
    if back_end == "embedded":
        pytest.skip("it has no endpoint")
    if back_end == "local":
        from ranvier.chain.local import LocalChain

        client: Any = LocalChain("http://127.0.0.1:1", deadline=1.0)
    else:
        from ranvier.chain.subtensor import SubtensorChain

        client = SubtensorChain("ws://127.0.0.1:1", deadline=2.0)
    try:
        with pytest.raises((ChainUnreachable, ChainTimeout)):
            await client.block()
    finally:
        await client.close()
