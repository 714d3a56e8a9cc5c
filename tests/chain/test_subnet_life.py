"""Subnets that are founded, changed, replaced and ended; places that are worked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from ranvier.chain import (
    RAO,
    CallRefused,
    CreateSubnet,
    DissolveSubnet,
    Faucet,
    Genesis,
    Keypair,
    Register,
    RegisterWork,
    RootRegister,
    SetHyperparameter,
    SetRootWeights,
    SetWeights,
)
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.network import Step
from ranvier.chain.runtime import SWEEP
from ranvier.chain.work import challenge, is_enough, seal, search

Opener = Callable[..., EmbeddedChain]
LOCK = 10 * RAO


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


@pytest.fixture
def embedded(make_genesis: Callable[..., Genesis]) -> Opener:
    fixed = {"tempo": 300, "lock_minimum": LOCK, "lock_interval": 100, "subnet_immunity": 6}
    return lambda **changes: EmbeddedChain(make_genesis(**{**fixed, **changes}))


async def refused(chain: EmbeddedChain, call: Any, signer: str) -> str:
    with pytest.raises(CallRefused) as caught:
        await chain.carry_out(call, key(signer))
    return caught.value.name


def founding(name: str = "mine") -> CreateSubnet:
    return CreateSubnet(address("hot-" + name), name)


async def told(chain: EmbeddedChain, name: str) -> list[dict[str, Any]]:
    return [event.data for event in await chain.events(0) if event.name == name]


async def test_a_lock_doubles_decays_and_returns(embedded: Opener) -> None:
    async with embedded(subnet_owner_cut=0) as chain:
        before = await chain.balance(address("cold"))
        await chain.carry_out(founding("a"), key("cold"))
        await chain.carry_out(founding("b"), key("cold"))
        await chain.advance(50)
        await chain.carry_out(founding("c"), key("cold"))
        locks = [one["lock"] for one in await told(chain, "NetworkAdded")]
        step = lambda last, blocks: max(LOCK, 2 * last - last // 100 * blocks)  # noqa: E731
        assert locks == [LOCK, step(LOCK, 1), step(step(LOCK, 1), 51)]
        assert await locked(chain) == {2: locks[0], 3: locks[1], 4: locks[2]}
        assert await chain.balance(address("cold")) < before
        held = await chain.balance(address("cold"))
        await chain.carry_out(DissolveSubnet(3), key("cold"))
        gained = await chain.balance(address("cold")) - held
        assert 0 <= gained - locks[1] < RAO, "the lock, and the owner's part of one block"
        assert (await told(chain, "NetworkRemoved")) == [
            {"netuid": 3, "owner": address("cold"), "returned": locks[1]}
        ]
        assert await locked(chain) == {2: locks[0], 4: locks[2]}
        assert [s.netuid for s in await chain.subnets()] == [1, 2, 4]
        await chain.carry_out(founding("d"), key("cold"))
        assert [s.name for s in await chain.subnets()] == ["small", "a", "d", "c"]


async def locked(chain: EmbeddedChain) -> dict[int, int]:
    return await chain._node.read(lambda state: dict(state.ledger.locks))


async def test_who_may_found_and_end(embedded: Opener) -> None:
    async with embedded(subnet_interval=4) as chain:
        assert await refused(chain, founding(), "poor") == "NotEnoughBalanceToStake"
        assert await refused(chain, CreateSubnet(address("v0"), "a"), "rich") == "NonAssociatedColdKey"
        await chain.carry_out(founding(), key("cold"))
        for who in ("cold", "rich"):
            assert await refused(chain, founding("next"), who) == "NetworkTxRateLimitExceeded"
        assert await refused(chain, DissolveSubnet(2), "rich") == "NotSubnetOwner"
        assert await refused(chain, DissolveSubnet(9), "cold") == "SubNetworkDoesNotExist"


async def test_at_the_limit_the_weakest_that_is_not_immune_gives_way(embedded: Opener) -> None:
    async with embedded(subnet_limit=3, emission="proportional", root_tempo=2) as chain:
        await chain.carry_out(RootRegister(address("v0")), key("cold"))
        await chain.carry_out(founding("a"), key("cold"))
        await chain.carry_out(founding("b"), key("cold"))
        await chain.carry_out(SetRootWeights(address("v0"), (1, 2, 3), (9, 1, 2)), key("cold"))
        await chain.advance(3)
        await chain.advance(8)
        await chain.carry_out(Register(2, address("gone")), key("cold"))
        await chain.carry_out(founding("c"), key("rich"))
        assert (await told(chain, "NetworkRemoved"))[-1]["netuid"] == 2, "the least emission"
        assert (await told(chain, "NetworkAdded"))[-1]["replaced"] == 2
        assert (await chain.metagraph(2)).neurons == ()
        await chain.advance(6)
        shares = {s.netuid: s.emission_share for s in await chain.subnets()}
        assert shares[2] == 0, "it inherits no root weights"


async def test_immunity_ends_with_its_last_block(embedded: Opener) -> None:
    async with embedded(subnet_limit=2, subnet_immunity=10) as chain:
        receipt = await chain.carry_out(founding("a"), key("cold"))
        await chain.carry_out(DissolveSubnet(1), key("owner"))
        await chain.carry_out(founding("b"), key("cold"))
        while chain.height < receipt.block + 8:
            await chain.advance()
        assert await refused(chain, founding("c"), "cold") == "AllNetworksInImmunity"
        later = await chain.carry_out(founding("c"), key("cold"))
        assert later.block == receipt.block + 10
        assert [s.name for s in await chain.subnets()] == ["b", "c"]


async def test_all_immune_none_gives_way_and_a_limit_grows_by_its_schedule(embedded: Opener) -> None:
    limits = (Step(block=8, subnets=3),)
    async with embedded(subnet_limit=2, subnet_limits=limits, subnet_immunity=1000) as chain:
        await chain.carry_out(founding("a"), key("cold"))
        assert await refused(chain, founding("b"), "cold") == "AllNetworksInImmunity"
        await chain.advance(8)
        await chain.carry_out(founding("b"), key("cold"))


async def test_an_owner_changes_what_an_owner_may(embedded: Opener) -> None:
    async with embedded(owner_interval=3) as chain:
        set_it = lambda name, value: SetHyperparameter(1, name, value)  # noqa: E731
        assert await refused(chain, set_it("immunity_period", 7), "rich") == "NotSubnetOwner"
        assert await refused(chain, set_it("tempo", 7), "owner") == "BadOrigin"
        assert await refused(chain, set_it("nonsense", 7), "owner") == "BadOrigin"
        assert await refused(chain, set_it("immunity_period", 65536), "owner") == "ValueNotInBounds"
        await chain.carry_out(set_it("commit_reveal", 1), key("owner"))
        await chain.carry_out(set_it("min_burn", 3 * RAO), key("owner"))
        settings = await chain.hyperparameters(1)
        assert (settings.commit_reveal, settings.min_burn) == (True, 3 * RAO)
        assert (await chain.subnets())[0].burn == 3 * RAO, "the price is in its limits at once"
        assert await refused(chain, set_it("min_burn", 1), "owner") == "TxRateLimitExceeded"
        assert await refused(chain, SetWeights(1, (3,), (1,)), "v0") == "CommitRevealEnabled"
        await chain.advance(3)
        await chain.carry_out(set_it("min_burn", 1), key("owner"))


async def test_a_new_owner_of_a_number_is_not_held_up_by_the_last_one(embedded: Opener) -> None:
    async with embedded(owner_interval=100) as chain:
        await chain.carry_out(founding("a"), key("cold"))
        await chain.carry_out(SetHyperparameter(2, "kappa", 1), key("cold"))
        await chain.carry_out(DissolveSubnet(2), key("cold"))
        await chain.carry_out(founding("b"), key("cold"))
        await chain.carry_out(SetHyperparameter(2, "kappa", 2), key("cold"))
        assert await refused(chain, SetHyperparameter(2, "kappa", 3), "cold") == "TxRateLimitExceeded"


async def test_paces_are_forgotten_once_they_hold_nobody_up(embedded: Opener) -> None:
    async with embedded(take_interval=1, delegate_interval=1) as chain:
        await chain.carry_out(Faucet(), key("poor"))
        await chain.advance(SWEEP - 1)
        assert await chain._node.read(lambda state: dict(state.network.paces)) == {}
        await chain.carry_out(Faucet(), key("poor"))
        assert await refused(chain, Faucet(), "poor") == "TxRateLimitExceeded"


async def test_an_owner_may_ask_any_price(embedded: Opener) -> None:
    """Up to 2**64 - 1, of work and of TAO, and the chain's history can hold it."""
    most = 2**64 - 1
    async with embedded(tempo=4, max_burn=most, max_difficulty=most) as chain:
        await chain.carry_out(SetHyperparameter(1, "min_difficulty", most), key("owner"))
        await chain.carry_out(Register(1, address("one")), key("cold"))
        await chain.carry_out(SetHyperparameter(1, "min_burn", most), key("owner"))
        assert await refused(chain, Register(1, address("two")), "cold") == "NotEnoughBalanceToStake"
        await chain.advance(6)
        point = (await chain._node.history(lambda store: store.history.points(1, 0, 500))).items[-1]
        assert (point.burn, point.difficulty) == (most, most)


async def test_the_events_of_a_block_are_read_whole(embedded: Opener) -> None:
    async with embedded(subnet_limit=2) as chain:
        await chain.carry_out(founding("a"), key("cold"))
        await chain.advance(6)
        receipt = await chain.carry_out(founding("b"), key("cold"))
        for limit in (1, 2, 3):
            found = await chain._node.history(lambda store, n=limit: store.events(receipt.block - 1, n))
            assert [event.name for event in found] == ["NetworkRemoved", "NetworkAdded"]
        both = await chain._node.history(lambda store: store.events(0, 2))
        assert [event.name for event in both] == ["NetworkAdded"], (
            "the block that was cut comes with the next"
        )


def mined(
    era: Any, chain_block: Any, hotkey: str, coldkey: str, difficulty: int, netuid: int = 1
) -> RegisterWork:
    given = challenge(era, netuid, chain_block.hash, hotkey, coldkey)
    found = search(era, given, difficulty, 0, 10**6)
    assert found is not None
    return RegisterWork(netuid, coldkey, chain_block.number, found[0], found[1].hex())


@pytest.mark.parametrize("era", ["2024", "y2"])
async def test_work_takes_a_place_without_a_rao_and_once(embedded: Opener, era: Any) -> None:
    async with embedded(era=era, work_allowed=True, difficulty=64, min_difficulty=64, subnets=2) as chain:
        hot, cold = address("worker"), address("penniless")
        await chain.advance()
        call = mined(era, await chain.block(), hot, cold, 64)
        assert await refused(chain, call, "v0") in ("HotKeyAlreadyRegisteredInSubNet", "InvalidSeal")
        assert await refused(chain, call, "thief") == "InvalidSeal"
        await chain.carry_out(mined(era, await chain.block(), hot, cold, 64), key("worker"))
        assert (await chain.metagraph(1)).by_hotkey(hot).coldkey == cold
        assert await refused(chain, call, "worker") == "HotKeyAlreadyRegisteredInSubNet"
        assert await chain.balance(cold) == 0


async def test_work_is_new_enough_hard_enough_and_never_used_twice(embedded: Opener) -> None:
    async with embedded(work_allowed=True, difficulty=64, min_difficulty=64, subnets=2) as chain:
        hot, cold = address("worker"), address("penniless")
        await chain.advance()
        call = mined("2024", await chain.block(), hot, cold, 64)
        await chain.carry_out(call, key("worker"))
        again = RegisterWork(2, cold, call.block, call.nonce, call.work)
        assert await refused(chain, again, "worker") == "WorkRepeated", "2024 does not hash the netuid"
        old = mined("2024", await chain.block(), address("late"), cold, 64)
        await chain.advance(2)
        assert await refused(chain, old, "late") == "InvalidWorkBlock"
        easy = mined("2024", await chain.block(), address("lazy"), cold, 1)
        if not is_enough("2024", bytes.fromhex(easy.work), 64):
            assert await refused(chain, easy, "lazy") == "InvalidDifficulty"
        forged = RegisterWork(1, cold, (await chain.block()).number, 1, "00" * 32)
        assert await refused(chain, forged, "lazy") == "InvalidSeal"
    async with embedded() as chain:
        await chain.advance()
        closed = mined("2024", await chain.block(), hot, cold, 1)
        assert await refused(chain, closed, "worker") == "SubNetRegistrationDisabled"


def test_the_seal_of_2024_is_keccak_of_sha256_of_nonce_and_keccak() -> None:
    """Known digests of empty and of one zero byte fix which Keccak; the rest is the order of the parts."""
    from Crypto.Hash import keccak

    assert keccak.new(data=b"", digest_bits=256).hexdigest().startswith("c5d2460186f7233c927e7db2dcc703c0")
    hot = address("worker")
    given = challenge("2024", 1, "0x" + "11" * 32, hot, hot)
    inner = keccak.new(data=bytes.fromhex("11" * 32) + key("worker").public_key, digest_bits=256).digest()
    assert given == inner
    whole = hashlib.sha256((258).to_bytes(8, "little") + inner).digest()
    assert seal("2024", given, 258) == keccak.new(data=whole, digest_bits=256).digest()
    assert is_enough("2024", b"\x00" * 31 + b"\x01", 2**255)
    assert not is_enough("2024", b"\x01" + b"\x00" * 31, 2**9)


def test_the_native_search_of_2026_finds_what_the_seal_says() -> None:
    hot, cold = address("worker"), address("cold")
    given = challenge("y2", 7, "0x" + "22" * 32, hot, cold)
    found = search("y2", given, 500, 2**64 - 10, 10**5)
    assert found is not None
    nonce, work = found
    assert seal("y2", given, nonce) == work
    assert is_enough("y2", work, 500)


async def test_crowded_work_becomes_harder(embedded: Opener) -> None:
    async with embedded(
        work_allowed=True,
        difficulty=64,
        min_difficulty=64,
        adjustment_interval=10,
        adjustment_alpha=0,
        target_regs_per_interval=2,
    ) as chain:
        await chain.advance()
        for number in range(5):
            name = f"worker{number}"
            call = mined("2024", await chain.block(), address(name), address("cold"), 64)
            await chain.carry_out(call, key(name))
        await chain.advance(10)
        difficulty = await chain._node.read(lambda s: s.subnets[1].difficulty)
        burn = (await chain.subnets())[0].burn
        assert difficulty == 64 * 7 // 4
        assert burn == RAO // 10, "nobody bought"


async def test_in_2026_work_stays_as_hard_as_it_is_and_a_block_gives_few_places_for_it(
    embedded: Opener,
) -> None:
    fixed = {
        "era": "y2",
        "work_allowed": True,
        "difficulty": 64,
        "min_difficulty": 8,
        "max_regs_per_block": 1,
    }
    async with embedded(**fixed, subnets=2) as chain:
        await chain.advance()
        cold, head = address("cold"), await chain.block()
        for name in ("one", "two"):
            await chain.carry_out(mined("y2", await chain.block(), address(name), cold, 64), key(name))
        assert await chain._node.read(lambda s: s.subnets[1].difficulty) == 64
        assert (await chain.subnets())[0].burn < RAO // 10, "nobody bought"
        older = mined("y2", head, address("one"), cold, 64, netuid=2)
        assert await refused(chain, older, "one") == "InvalidWorkBlock"
        newest = await chain.block()
        waiting = {name: mined("y2", newest, address(name), cold, 64) for name in ("three", "four")}
        sent = [await chain._send(call, key(name)) for name, call in waiting.items()]
        await chain.advance()
        ends = [await chain._node.outcome(call_hash, 0.0) for call_hash in sent]
        assert [end.error for end in ends if end] == [None, "TooManyRegistrationsThisBlock"]
        await chain.carry_out(SetHyperparameter(1, "max_difficulty", 32), key("owner"))
        assert await chain._node.read(lambda s: s.subnets[1].difficulty) == 32


async def test_in_2026_the_owners_hotkey_has_the_first_place_and_is_never_replaced(embedded: Opener) -> None:
    async with embedded(era="y2") as chain:
        small = {"max_allowed_uids": 2, "immunity_period": 0}
        genesis = chain._node.genesis
        settings = genesis.new_subnet.model_copy(update=small)
        chain._node.genesis = genesis.model_copy(update={"new_subnet": settings})
        await chain.carry_out(founding(), key("cold"))
        for number in range(3):
            await chain.carry_out(Register(2, address(f"new{number}")), key("cold"))
        names = [neuron.hotkey for neuron in (await chain.metagraph(2)).neurons]
        assert names == [address("hot-mine"), address("new2")]


async def test_in_2024_a_new_subnet_is_empty(embedded: Opener) -> None:
    async with embedded() as chain:
        await chain.carry_out(founding(), key("cold"))
        assert (await chain.metagraph(2)).neurons == ()
