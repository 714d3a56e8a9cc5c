"""Chains by name, a launch from nothing, and the faucet."""

from __future__ import annotations

from typing import Any

import pytest

from ranvier.chain import RAO, AddStake, BadGenesis, CallRefused, Faucet, Keypair, RemoveStake, preset_genesis
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.presets import PRESETS
from ranvier.chain.work import challenge, search


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


def test_the_article() -> None:
    genesis = preset_genesis("article")
    new, network = genesis.new_subnet, genesis.network
    assert (new.max_allowed_uids, new.max_allowed_validators) == (256, 64)
    assert round(new.subnet_owner_cut / 65535, 4) == 0.18
    assert (network.lock_minimum, network.subnet_immunity) == (100 * RAO, 7 * 7200)
    assert (network.min_take, round(network.max_take / 65535, 2)) == (0, 0.18)
    assert [network.limit_at(block) for block in (0, 89 * 7200, 90 * 7200, 10**7)] == [32, 32, 45, 64]
    assert (genesis.era, genesis.issuance(), genesis.faucet) == ("2024", 0, 0)


def test_unknown_presets_are_named() -> None:
    with pytest.raises(BadGenesis, match="local, 2024, article, 2026"):
        preset_genesis("2025")
    assert len({preset_genesis(name).hash() for name in PRESETS}) == len(PRESETS)


async def test_a_faucet_counts_what_it_gives_and_gives_slowly() -> None:
    async with EmbeddedChain(preset_genesis("local", clock="manual")) as chain:
        await chain.carry_out(Faucet(), key("poor"))
        assert await chain.balance(address("poor")) == 1000 * RAO == await chain.issuance()
        with pytest.raises(CallRefused, match="TxRateLimitExceeded"):
            await chain.carry_out(Faucet(), key("poor"))
        assert await chain._node.read(lambda state: state.network.given_away) == 1000 * RAO
    async with EmbeddedChain(preset_genesis("article", clock="manual")) as chain:
        with pytest.raises(CallRefused, match="FaucetDisabled"):
            await chain.carry_out(Faucet(), key("poor"))


@pytest.mark.parametrize("preset", ["local", "article"])
async def test_a_fair_launch_begins_with_work_and_nothing_else(preset: str) -> None:
    settings: dict[str, Any] = {"clock": "manual"}
    genesis = preset_genesis(preset, fair_launch=True, **settings)
    easy = {"difficulty": 16, "min_difficulty": 16, "tempo": 5}
    subnet = genesis.subnets[0]
    subnet = subnet.model_copy(update={"hyperparameters": subnet.hyperparameters.model_copy(update=easy)})
    async with EmbeddedChain(genesis.model_copy(update={"subnets": (subnet,)})) as chain:
        from ranvier.chain import RegisterWork

        assert await chain.issuance() == 0
        await chain.advance(2)
        for name in ("one", "two"):
            block = await chain.block()
            given = challenge("2024", 1, block.hash, address(name), address("cold-" + name))
            found = search("2024", given, 16, 0, 10**5)
            assert found is not None
            call = RegisterWork(1, address("cold-" + name), block.number, found[0], found[1].hex())
            await chain.carry_out(call, key(name))
        assert await chain.issuance() == 0
        await chain.advance(14)
        held = [await chain.stake(address(name)) for name in ("one", "two")]
        assert held[0] == held[1] > 0, "nobody had stake: they count alike"
        assert await chain.issuance() == sum(held)
        await chain.carry_out(RemoveStake(address("one"), 10**6), key("cold-one"))
        assert await chain.balance(address("cold-one")) == 10**6
        with pytest.raises(CallRefused, match="HotKeyNotDelegateAndSignerNotOwnHotKey"):
            await chain.carry_out(AddStake(address("two"), 1000), key("cold-one"))
