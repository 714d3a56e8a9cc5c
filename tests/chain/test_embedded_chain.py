"""The chain inside this process: one client's view, the other's blocks, the same refusals, equal histories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from bittensor_core import Keypair

from ranvier.chain import (
    RAO,
    BadGenesis,
    CallRefused,
    ChainTimeout,
    ChainUnreachable,
    CommitTimelocked,
    Genesis,
    NotFound,
    Register,
    Serve,
    SetWeights,
    Transfer,
)
from ranvier.chain.embedded import EmbeddedChain


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


@pytest.fixture
async def chain(make_genesis: Callable[..., Genesis]) -> AsyncIterator[EmbeddedChain]:
    async with EmbeddedChain(make_genesis(), deadline=0.2) as chain:
        yield chain


async def test_a_call_returns_with_the_block_that_somebody_else_makes(chain: EmbeddedChain) -> None:
    calls = [
        asyncio.create_task(chain.submit(Serve(1, "127.0.0.1", 7000 + number, 1), key(f"m{number}")))
        for number in range(2)
    ]
    while (
        not all(chain._node.is_waiting(one) for one in chain._node._pool._calls)
        or len(chain._node._pool._calls) < 2
    ):
        await asyncio.sleep(0)
    assert not any(call.done() for call in calls)
    block = await chain.advance()
    assert [(await call).block for call in calls] == [block.number] * 2
    meta = await chain.metagraph(1)
    assert [neuron.axon.port for neuron in meta.neurons if neuron.axon] == [7000, 7001]


async def test_whoever_drives_the_clock_sends_with_carry_out_or_meets_the_deadline(
    chain: EmbeddedChain,
) -> None:
    receipt = await chain.carry_out(SetWeights(1, (3, 4), (1, 2)), key("v0"))
    assert receipt.block == (await chain.block()).number
    assert (await chain.weights(1))[0] == {3: 32768, 4: 65535}
    with pytest.raises(ChainTimeout, match="look whether it took effect"):
        await chain.submit(SetWeights(1, (3,), (1,)), key("v1"), deadline=0.05)
    await chain.advance()
    assert (await chain.weights(1))[1] == {3: 65535}


async def test_it_refuses_under_the_chains_own_names(chain: EmbeddedChain) -> None:
    with pytest.raises(CallRefused) as refused:
        await chain.carry_out(SetWeights(1, (9,), (1,)), key("v0"))
    assert (refused.value.name, refused.value.call) == ("UidVecContainInvalidOne", "SetWeights")
    with pytest.raises(CallRefused) as refused:
        await chain.carry_out(Transfer(key("v0").ss58_address, 5), key("nobody"))
    assert refused.value.name == "InsufficientBalance"
    for wrong in (chain.metagraph(7), chain.epochs(7, 0), chain.balance("no address")):
        with pytest.raises(NotFound):
            await wrong
    assert not await chain.supports(CommitTimelocked)
    assert await chain.supports(SetWeights)


async def test_blocks_come_in_order_and_none_is_left_out(chain: EmbeddedChain) -> None:
    await chain.advance(3)
    seen = []

    async def follow() -> None:
        async for block in chain.blocks(1):
            seen.append(block.number)
            if block.number == 6:
                return

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await chain.advance(3)
    await task
    assert seen == [2, 3, 4, 5, 6]


async def test_while_it_is_away_reads_wait_for_their_deadline_and_blocks_for_its_return(
    chain: EmbeddedChain,
) -> None:
    seen: list[int] = []

    async def follow() -> None:
        async for block in chain.blocks(0):
            seen.append(block.number)  # noqa: PERF401  it never ends

    task = asyncio.create_task(follow())
    chain.stop()
    with pytest.raises(ChainUnreachable, match="stopped"):
        await chain.metagraph(1)
    with pytest.raises(ChainUnreachable):
        await chain.submit(Serve(1, "127.0.0.1", 7000, 1), key("m0"))
    await chain.advance(2)
    await asyncio.sleep(0.01)
    assert seen == []
    chain.resume()
    assert (await chain.block()).number == 2
    await asyncio.sleep(0.01)
    assert seen == [1, 2]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_replaced_hotkey_leaves_nothing_behind(chain: EmbeddedChain) -> None:
    await chain.carry_out(SetWeights(1, (3, 4), (1, 1)), key("v0"))
    await chain.carry_out(Serve(1, "127.0.0.1", 7000, 1), key("m0"))
    await chain.replace(1, 3, key("new").ss58_address, key("cold").ss58_address)
    meta = await chain.metagraph(1)
    assert meta.by_hotkey(key("m0").ss58_address) is None
    assert meta.neurons[3].hotkey == key("new").ss58_address
    assert (meta.neurons[3].axon, meta.neurons[3].registered_at) == (None, meta.block)
    assert (await chain.weights(1))[0] == {4: 65535}
    with pytest.raises(CallRefused, match="it has uid 3"):
        await chain.replace(1, 4, key("new").ss58_address, key("cold").ss58_address)
    with pytest.raises(NotFound, match="no uid 9"):
        await chain.replace(1, 9, key("newer").ss58_address, key("cold").ss58_address)


async def test_a_trimmed_subnet_is_smaller_also_after_a_restart(
    make_genesis: Callable[..., Genesis], tmp_path: Path
) -> None:
    genesis = make_genesis()
    async with EmbeddedChain(genesis, tmp_path) as chain:
        await chain.carry_out(SetWeights(1, (3, 4), (1, 1)), key("v0"))
        await chain.trim(1, 4)
        assert (await chain.weights(1))[0] == {3: 65535}
        before = await chain.metagraph(1)
        assert [neuron.uid for neuron in before.neurons] == [0, 1, 2, 3]
    async with EmbeddedChain(genesis, tmp_path) as chain:
        assert await chain.metagraph(1) == before
        assert (
            await chain.carry_out(Register(1, key("m1").ss58_address), key("cold"))
        ).block == before.block + 1
        assert (await chain.metagraph(1)).neurons[4].hotkey == key("m1").ss58_address


async def test_equal_calls_make_equal_chains(make_genesis: Callable[..., Genesis]) -> None:
    async def history() -> tuple[str, str]:
        async with EmbeddedChain(make_genesis(max_regs_per_block=3)) as chain:
            await chain.carry_out(SetWeights(1, (3, 4), (1, 2)), key("v0"))
            await chain.carry_out(Register(1, key("new").ss58_address), key("cold"))
            await chain.replace(1, 3, key("newer").ss58_address, key("cold").ss58_address)
            return (await chain.advance(9)).hash, await chain.state_hash()

    assert await history() == await history()


async def test_it_goes_on_from_its_folder_and_a_temporary_one_is_removed(
    make_genesis: Callable[..., Genesis], tmp_path: Path
) -> None:
    genesis = make_genesis()
    async with EmbeddedChain(genesis, tmp_path / "kept") as chain:
        await chain.advance(5)
        before = await chain.state_hash()
    async with EmbeddedChain(genesis, tmp_path / "kept") as chain:
        assert ((await chain.block()).number, await chain.state_hash()) == (5, before)
        assert await chain.issuance() > 1280 * RAO
    async with EmbeddedChain(genesis) as chain:
        folder: Any = chain._temporary
        assert Path(folder.name).exists()
    assert not Path(folder.name).exists()
    with pytest.raises(ChainUnreachable, match="closed"):
        await chain.block()


def test_a_wall_clock_is_refused(make_genesis: Callable[..., Genesis]) -> None:
    with pytest.raises(BadGenesis, match="manual"):
        EmbeddedChain(make_genesis(clock="wall"))
