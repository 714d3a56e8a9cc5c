"""Weights in two steps: promised by a hash, shown one epoch later, under the chain's own names for every refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.chain import (
    RAO,
    CommitTimelocked,
    CommitWeights,
    Keypair,
    RevealWeights,
    SetWeights,
    commit_hash,
)
from ranvier.chain.schedule import epoch_due_2024, reveal_window_2024, reveal_window_head

SALT = (1, 2, 3, 4)


def address(name: str) -> str:
    return str(Keypair.create_from_uri(f"//{name}").ss58_address)


def promise(name: str, values: tuple[int, ...] = (7, 9), netuid: int = 1) -> CommitWeights:
    return CommitWeights(netuid, commit_hash(address(name), netuid, (3, 4), values, SALT))


def shown(values: tuple[int, ...] = (7, 9), netuid: int = 1, **changes: Any) -> RevealWeights:
    return RevealWeights(**{"netuid": netuid, "uids": (3, 4), "values": values, "salt": SALT, **changes})


async def until_open(chain: Any, name: str) -> None:
    """Make blocks until the next one may hold the revelation."""
    (commit, *_) = await chain.client.commits(1, address(name))
    head = await chain.client.block()
    await chain.client.advance(commit.first_reveal - head.number - 1)


@pytest.mark.parametrize("era", ["2024", "y2"])
@pytest.mark.parametrize("period", [1, 3])
async def test_a_promised_row_is_stored_in_its_window(open_small: Any, era: str, period: int) -> None:
    async with open_small(commit_reveal=True, reveal_period=period, era=era) as chain:
        assert await chain.submit(promise("v0"), "v0") is None
        made = (await chain.client.block()).number
        (commit,) = await chain.client.commits(1, address("v0"))
        assert commit.block == made
        assert (await chain.client.metagraph(1)).by_hotkey(address("v0")).last_update == made
        await until_open(chain, "v0")
        assert await chain.client.weights(1) == {}
        assert await chain.submit(shown(), "v0") is None
        assert await chain.client.weights(1) == {0: {3: 50972, 4: 65535}}
        assert await chain.client.commits(1, address("v0")) == ()
        assert (await chain.client.metagraph(1)).by_hotkey(address("v0")).last_update == made
        names = [event.name for event in await chain.client.events(0)]
        assert "WeightsCommitted" in names
        assert "WeightsRevealed" in names


@pytest.mark.parametrize("netuid", [1, 5])
@given(block=st.integers(1, 10**6), tempo=st.integers(1, 400), period=st.integers(1, 5))
def test_the_window_is_one_epoch_long_and_starts_after_an_epoch(
    netuid: int, block: int, tempo: int, period: int
) -> None:
    first, last = reveal_window_2024(block, netuid, tempo, period)
    assert first > block
    assert last - first == tempo
    assert epoch_due_2024(first - 1, netuid, tempo)
    assert epoch_due_2024(last, netuid, tempo)
    assert (first - 1 - block) // (tempo + 1) == period - 1


@given(
    last=st.integers(0, 10**6), late=st.integers(0, 300), tempo=st.integers(1, 100), period=st.integers(1, 5)
)
def test_the_window_of_2026_never_lies_in_the_past(last: int, late: int, tempo: int, period: int) -> None:
    first, end = reveal_window_head(last + late, last, tempo, period)
    assert last + late < first <= end == first + tempo - 1


async def test_refusals_bear_the_chains_names(open_small: Any) -> None:
    async with open_small(commit_reveal=True) as chain:
        assert await chain.submit(SetWeights(1, (3,), (1,)), "v0") == "CommitRevealEnabled"
        assert await chain.submit(CommitTimelocked(1, (3,), (1,)), "v0") == "CallDisabled"
        assert await chain.submit(promise("v0", netuid=9), "v0") == "SubNetworkDoesNotExist"
        assert await chain.submit(promise("nobody"), "nobody") == "HotKeyNotRegisteredInSubNet"
        assert await chain.submit(shown(), "v0") == "NoWeightsCommitFound"
        assert await chain.submit(promise("v0"), "v0") is None
        assert await chain.submit(shown((8, 9)), "v0") == "InvalidRevealCommitHashNotMatch"
        assert await chain.submit(shown(salt=(9,)), "v0") == "InvalidRevealCommitHashNotMatch"
        assert await chain.submit(shown(), "v1") == "NoWeightsCommitFound"
        assert await chain.submit(promise("v1"), "v1") is None
        assert await chain.submit(shown(), "v1") == "RevealTooEarly"


async def test_a_promise_expires_and_is_forgotten(open_small: Any) -> None:
    async with open_small(commit_reveal=True) as chain:
        assert await chain.submit(promise("v0"), "v0") is None
        (commit,) = await chain.client.commits(1, address("v0"))
        await chain.client.advance(commit.last_reveal - commit.block)
        assert await chain.client.commits(1, address("v0")) == ()
        assert await chain.submit(shown(), "v0") == "ExpiredWeightCommit"
        assert await chain.submit(promise("v0", (1, 2)), "v0") is None
        assert len(await chain.client.commits(1, address("v0"))) == 1


async def test_at_most_ten_promises_are_open(open_small: Any) -> None:
    async with open_small(commit_reveal=True, reveal_period=100) as chain:
        for value in range(10):
            assert await chain.submit(promise("v0", (value, 9)), "v0") is None
        assert await chain.submit(promise("v0", (10, 9)), "v0") == "TooManyUnrevealedCommits"


async def test_a_promise_is_limited_like_weights(open_small: Any) -> None:
    async with open_small(commit_reveal=True, weights_rate_limit=3, weights_min_stake=60 * RAO) as chain:
        assert await chain.submit(promise("v0"), "v0") is None
        assert await chain.submit(promise("v0", (1, 2)), "v0") == "CommittingWeightsTooFast"
        assert await chain.submit(promise("v1"), "v1") == "NotEnoughStakeToSetWeights"


async def test_an_open_subnet_takes_no_promise(open_small: Any) -> None:
    async with open_small() as chain:
        assert await chain.submit(promise("v0"), "v0") == "CommitRevealDisabled"
        assert await chain.submit(shown(), "v0") == "CommitRevealDisabled"


async def test_promises_survive_a_restart_and_count_in_the_state_hash(open_small: Any) -> None:
    async with open_small(commit_reveal=True) as chain:
        before = await chain.client.state_hash()
        assert await chain.submit(promise("v0"), "v0") is None
        kept, after = await chain.client.commits(1, address("v0")), await chain.client.state_hash()
        assert before != after
    async with open_small(commit_reveal=True) as chain:
        assert await chain.client.commits(1, address("v0")) == kept
        assert await chain.client.state_hash() == after
        await until_open(chain, "v0")
        assert await chain.submit(shown(), "v0") is None


def test_the_hash_is_of_the_scale_encoding() -> None:
    """Written out by hand: account, netuid, three vectors with compact lengths, version key, little-endian."""
    import hashlib

    hotkey = address("v0")
    account = Keypair(ss58_address=hotkey).public_key
    body = account + bytes.fromhex("01000803000400080700090004ffff0200000000000000")
    found = commit_hash(hotkey, 1, (3, 4), (7, 9), (65535,), 2)
    assert found == "0x" + hashlib.blake2b(body, digest_size=32).hexdigest()
    many = tuple(range(70))
    long = account + b"\x01\x00" + 2 * (b"\x19\x01" + b"".join(n.to_bytes(2, "little") for n in many))
    long += bytes.fromhex("0401000000000000000000")
    assert (
        commit_hash(hotkey, 1, many, many, (1,)) == "0x" + hashlib.blake2b(long, digest_size=32).hexdigest()
    )
