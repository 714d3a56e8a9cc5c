"""Locked rows: nobody reads them before their block, the chain opens them itself just before the epoch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.chain import (
    RAO,
    BadCheckpoint,
    CallRefused,
    CommitSealed,
    CommitTimelocked,
    Genesis,
    Keypair,
    SetWeights,
    StateUnusable,
)
from ranvier.chain.checkpoint import WaitingRow
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.network import NetworkParameters
from ranvier.chain.pulse import MOST_SEALED, Lock, Pulse, open_row, seal_row
from ranvier.chain.replay import replay
from ranvier.chain.state import ChainState
from ranvier.chain.store import pulse_of

ROW = CommitTimelocked(1, (3, 4), (7, 9))
STORED = {0: {3: 50972, 4: 65535}}
PULSE = Pulse(bytes(32))


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


def locked(**changes: Any) -> dict[str, Any]:
    return {"commit_reveal": True, "commit_reveal_version": 4, **changes}


async def to_opening(chain: Any, name: str = "v0") -> None:
    """Make all blocks but the one in which the newest row of a hotkey opens."""
    commit = (await chain.client.commits(1, address(name)))[-1]
    await chain.client.advance(commit.first_reveal - (await chain.client.block()).number - 1)


async def named(chain: Any, name: str) -> list[dict[str, Any]]:
    return [event.data for event in await chain.client.events(0) if event.name == name]


@pytest.mark.parametrize("era", ["2024", "y2"])
@pytest.mark.parametrize("period", [1, 3])
async def test_the_chain_opens_a_row_in_the_block_of_its_epoch(
    open_small: Any, era: str, period: int
) -> None:
    async with open_small(**locked(reveal_period=period, era=era)) as chain:
        assert await chain.client.supports(CommitTimelocked)
        assert await chain.submit(ROW, "v0") is None
        made = (await chain.client.block()).number
        (commit,) = await chain.client.commits(1, address("v0"))
        assert (commit.hash, commit.block) == ("", made)
        assert (await chain.client.metagraph(1)).by_hotkey(address("v0")).last_update == made
        await to_opening(chain)
        assert await chain.client.weights(1) == {}
        await chain.client.advance()
        opened = (await chain.client.block()).number
        assert await chain.client.weights(1) == STORED
        assert await chain.client.commits(1, address("v0")) == ()
        graph = await chain.client.metagraph(1)
        assert graph.last_step == opened == commit.first_reveal
        assert graph.neurons[4].incentive > graph.neurons[3].incentive > 0
        names = [event.name for event in await chain.client.events(opened - 1)]
        assert names.index("WeightsRevealed") < names.index("EpochRan")


async def test_its_key_comes_with_its_block_and_not_before(open_small: Any) -> None:
    async with open_small(**locked()) as chain:
        await chain.submit(ROW, "v0")
        (commit,) = await chain.client.commits(1, address("v0"))
        lock = await chain.client.lock(1)
        assert lock.round >= commit.first_reveal
        assert lock.public_key == (await chain.client.pulse(lock.round)).public_key
        await to_opening(chain)
        early = await chain.client.pulse(commit.first_reveal)
        assert early.private_key is None
        for block in range(commit.first_reveal):
            other = (await chain.client.pulse(block)).private_key
            assert other is not None
            assert open_row(commit.sealed, other, 1, address("v0"), commit.first_reveal) is None
        await chain.client.advance()
        known = await chain.client.pulse(commit.first_reveal)
        assert known.public_key == early.public_key
        assert known.private_key is not None
        found = open_row(commit.sealed, known.private_key, 1, address("v0"), commit.first_reveal)
        assert found == SetWeights(1, (3, 4), (7, 9))


async def test_the_secret_is_in_nothing_that_others_get(open_small: Any) -> None:
    async with open_small(**locked()) as chain:
        await chain.submit(ROW, "v0")
        secret = chain.server.node._store._meta("pulse")
        private = Pulse(bytes.fromhex(secret)).private(
            (await chain.client.commits(1, address("v0")))[0].first_reveal
        )
        told = (await chain.client.checkpoint()).model_dump_json() + str(await chain.client.events(0))
        assert secret not in told
        assert private not in told


async def test_anothers_row_opens_for_nobody_else(open_small: Any) -> None:
    """Who sends a ciphertext that it saw gets nothing of it."""
    async with open_small(**locked()) as chain:
        await chain.submit(ROW, "v0")
        (seen,) = await chain.client.commits(1, address("v0"))
        assert await chain.submit(CommitSealed(1, seen.sealed, seen.first_reveal), "v1") is None
        await to_opening(chain)
        await chain.client.advance()
        assert await chain.client.weights(1) == STORED
        (failed,) = await named(chain, "WeightsNotRevealed")
        assert (failed["hotkey"], failed["error"]) == (address("v1"), "InvalidRevealCommitHashNotMatch")


async def test_a_row_that_the_rules_refuse_is_dropped_and_told(open_small: Any) -> None:
    async with open_small(**locked()) as chain:
        assert await chain.submit(replace(ROW, uids=(3, 99)), "v0") is None
        await to_opening(chain)
        await chain.client.advance()
        assert await chain.client.weights(1) == {}
        (failed,) = await named(chain, "WeightsNotRevealed")
        assert failed["error"] == "UidVecContainInvalidOne"
        assert await chain.client.commits(1, address("v0")) == ()


@pytest.mark.parametrize("era", ["2024", "y2"])
async def test_ten_of_one_epoch_and_the_last_one_counts(open_small: Any, era: str) -> None:
    async with open_small(**locked(tempo=30, era=era)) as chain:
        for number in range(10):
            assert await chain.submit(replace(ROW, values=(number, 9)), "v0") is None
        assert await chain.submit(ROW, "v0") == "TooManyUnrevealedCommits"
        assert await chain.submit(ROW, "v1") is None
        await to_opening(chain)
        await chain.client.advance()
        assert (await chain.client.weights(1))[0] == {3: 65535, 4: 65535}
        assert await chain.submit(ROW, "v0") is None


async def test_refusals_have_the_chains_names(open_small: Any) -> None:
    async with open_small(**locked()) as chain:
        assert await chain.submit(SetWeights(1, (3,), (1,)), "v0") == "CommitRevealEnabled"
        assert await chain.submit(ROW, "cold") == "HotKeyNotRegisteredInSubNet"
        round = (await chain.client.lock(1)).round
        for wrong in (round - 5, round + 1000, 0):
            call = CommitSealed(1, "00" * 60, max(0, wrong))
            assert await chain.submit(call, "v0") == "InvalidRevealRound"
        with pytest.raises(CallRefused, match="SubNetworkDoesNotExist"):
            await chain.client.submit(replace(ROW, netuid=9), key("v0"))
        with pytest.raises(CallRefused, match="give each uid one"):
            await chain.client.submit(replace(ROW, values=(1,)), key("v0"))
    async with open_small(**locked(commit_reveal=False, folder="open")) as chain:
        assert await chain.submit(ROW, "v0") == "CommitRevealDisabled"


async def test_without_version_four_there_are_none(open_small: Any) -> None:
    async with open_small(commit_reveal=True) as chain:
        assert not await chain.client.supports(CommitTimelocked)
        assert not await chain.client.supports(CommitSealed)
        assert await chain.submit(ROW, "v0") == "CallDisabled"


async def test_rows_outlive_a_restart_and_a_replay_opens_them_again(tmp_path: Any, make_genesis: Any) -> None:
    genesis: Genesis = make_genesis(**locked())
    async with EmbeddedChain(genesis, tmp_path) as chain:
        await chain.carry_out(ROW, key("v0"))
        (commit,) = await chain.commits(1, address("v0"))
    async with EmbeddedChain(genesis, tmp_path) as chain:
        await chain.advance(commit.first_reveal - chain.height)
        assert await chain.weights(1) == STORED
        await chain.advance(5)
        found = await chain.state_hash()
    assert replay(tmp_path).state_hash == found


@pytest.mark.parametrize("running", [True, False])
async def test_locked_rows_open_in_a_restored_chain_that_has_the_keys(
    tmp_path: Any, make_genesis: Any, running: bool
) -> None:
    """Equal to the chain that went on, row by row and hash by hash."""
    genesis: Genesis = make_genesis(**locked())
    async with EmbeddedChain(genesis, tmp_path / "old") as chain:
        await chain.carry_out(ROW, key("v0"))
        (commit,) = await chain.commits(1, address("v0"))
        made = await chain._node.checkpoint()
        if running:
            assert made.restore(tmp_path / "new", pulse_of(tmp_path / "old")) == ()
        await chain.advance(commit.first_reveal - chain.height + 3)
        assert await chain.weights(1) == STORED
        height, expected = chain.height, await chain.state_hash()
    if not running:
        assert made.restore(tmp_path / "new", pulse_of(tmp_path / "old")) == ()
    async with EmbeddedChain(genesis, tmp_path / "new") as chain:
        await chain.advance(height - chain.height)
        assert await chain.weights(1) == STORED
        assert await chain.state_hash() == expected
    assert replay(tmp_path / "new").state_hash == expected


async def test_without_the_keys_a_restore_says_which_rows_are_lost(tmp_path: Any, make_genesis: Any) -> None:
    genesis: Genesis = make_genesis(**locked())
    async with EmbeddedChain(genesis, tmp_path / "old") as chain:
        await chain.carry_out(ROW, key("v0"))
        (commit,) = await chain.commits(1, address("v0"))
        made = await chain._node.checkpoint()
        secret = pulse_of(tmp_path / "old").secret.hex()
        assert secret not in made.model_dump_json()
    lost = made.restore(tmp_path / "new")
    assert lost == (WaitingRow(1, address("v0"), commit.block, commit.first_reveal),)
    async with EmbeddedChain(genesis, tmp_path / "new") as chain:
        # A row that is locked from now on opens; the old one is told and dropped.
        await chain.carry_out(ROW, key("v1"))
        await chain.advance(12)
        assert (await chain.weights(1)).keys() == {1}
        assert await chain.commits(1, address("v0")) == ()
        (failed,) = [event.data for event in await chain.events(0) if event.name == "WeightsNotRevealed"]
        assert (failed["hotkey"], failed["error"]) == (address("v0"), "InvalidRevealRound")
        assert f"the checkpoint of block {commit.block} is of; send it anew" in failed["message"]
        expected = await chain.state_hash()
    assert replay(tmp_path / "new").state_hash == expected


async def test_keys_of_another_chain_are_refused(tmp_path: Any, make_genesis: Any) -> None:
    genesis: Genesis = make_genesis(**locked())
    async with EmbeddedChain(genesis, tmp_path / "old") as chain, EmbeddedChain(genesis, tmp_path / "twin"):
        made = await chain._node.checkpoint()
    with pytest.raises(BadCheckpoint, match="of another chain"):
        made.restore(tmp_path / "new", pulse_of(tmp_path / "twin"))
    with pytest.raises(StateUnusable, match="holds no chain"):
        pulse_of(tmp_path / "nowhere")
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("era", ["2024", "y2"])
async def test_a_newcomer_in_a_promised_uid_gets_nothing_of_it(make_genesis: Any, era: str) -> None:
    """The row stays as promised; Yuma masks what it gives to a uid that was registered after it."""
    async with EmbeddedChain(make_genesis(**locked(era=era, tempo=10))) as chain:
        await chain.carry_out(ROW, key("v0"))
        (commit,) = await chain.commits(1, address("v0"))
        await chain.replace(1, 4, address("newcomer"), address("rich"))
        await chain.advance(commit.first_reveal - chain.height)
        graph = await chain.metagraph(1)
        assert await chain.weights(1) == STORED
        assert [neuron.incentive for neuron in graph.neurons[3:]] == [65535, 0]


async def test_a_row_whose_epoch_comes_much_too_late_is_dropped_and_told(make_genesis: Any) -> None:
    async with EmbeddedChain(make_genesis(**locked(era="y2", tempo=4))) as chain:
        await chain.carry_out(ROW, key("v0"))
        (commit,) = await chain.commits(1, address("v0"))

        def slower(state: ChainState) -> None:
            subnet = state.subnets[1]
            subnet.hyperparameters = subnet.hyperparameters.model_copy(update={"tempo": 40})

        await chain._node.read(slower)
        await chain.advance(45)
        assert (await chain.metagraph(1)).last_step > commit.last_reveal
        assert await chain.weights(1) == {}
        assert await chain.commits(1, address("v0")) == ()
        (failed,) = [event.data for event in await chain.events(0) if event.name == "WeightsNotRevealed"]
        assert failed["error"] == "ExpiredWeightCommit"


def test_the_preset_of_2026_takes_locked_rows() -> None:
    from ranvier.chain import preset_genesis

    assert preset_genesis("2026").network.commit_reveal_version == 4
    assert NetworkParameters().commit_reveal_version == 2
    assert RAO == 10**9


@given(
    row=st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), max_size=300),
    version=st.integers(0, 2**64 - 1),
    block=st.integers(0, 10**6),
)
def test_what_is_sealed_opens_with_the_right_key_only(
    row: list[tuple[int, int]], version: int, block: int
) -> None:
    call = CommitTimelocked(7, tuple(u for u, _ in row), tuple(v for _, v in row), version)
    sent = seal_row(call, "hot", Lock(block, PULSE.public(block)))
    assert open_row(sent.sealed, PULSE.private(block), 7, "hot", block) == SetWeights(
        7, call.uids, call.values, version
    )
    assert open_row(sent.sealed, PULSE.private(block + 1), 7, "hot", block) is None
    assert open_row(sent.sealed, PULSE.private(block), 8, "hot", block) is None
    assert open_row(sent.sealed, PULSE.private(block), 7, "other", block) is None
    assert open_row(sent.sealed[:-2], PULSE.private(block), 7, "hot", block) is None


def test_a_row_has_a_largest_size_and_rubbish_opens_nothing() -> None:
    lock = Lock(5, PULSE.public(5))
    with pytest.raises(ValueError, match=f"{MOST_SEALED} can be sealed"):
        seal_row(CommitTimelocked(1, tuple(range(1300)), (1,) * 1300), "hot", lock)
    assert open_row("00" * 64, PULSE.private(5), 1, "hot", 5) is None
