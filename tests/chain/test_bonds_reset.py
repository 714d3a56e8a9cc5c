"""A neuron gives up the bonds to it, where its subnet's owner lets it (2026)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ranvier.chain import CallRefused, Genesis, Keypair, ResetBonds, SetHyperparameter, SetWeights
from ranvier.chain.embedded import EmbeddedChain
from ranvier.chain.node import ChainNode
from ranvier.chain.replay import replay

TEMPO = 12
MINER = 3
"""The uid of m0, the first of two miners after three validators."""


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


async def bonded(chain: EmbeddedChain) -> dict[int, int]:
    """What each validator is bonded to the miner with."""
    return {uid: row[MINER] for uid, row in (await chain.bonds(1)).items() if row.get(MINER)}


def without(rows: dict[int, dict[int, int]], gone: int) -> dict[int, dict[int, int]]:
    left = {uid: {to: bond for to, bond in row.items() if to != gone} for uid, row in rows.items()}
    return {uid: row for uid, row in left.items() if row}


async def test_bonds_to_one_neuron_are_given_up_and_grow_again(make_genesis: Callable[..., Genesis]) -> None:
    async with EmbeddedChain(make_genesis(era="y2", tempo=TEMPO, bonds_reset=True)) as chain:
        for validator in ("v0", "v1"):
            await chain.carry_out(SetWeights(1, (MINER, MINER + 1), (1, 1)), key(validator))
        await chain.advance(4 * TEMPO)
        before, rows = await bonded(chain), await chain.bonds(1)
        assert set(before) == {0, 1}
        await chain.carry_out(ResetBonds(1), key("m0"))
        assert without(await chain.bonds(1), -1) == without(rows, MINER)
        await chain.advance(TEMPO)
        again = await bonded(chain)
        assert all(0 < again[uid] < before[uid] for uid in (0, 1))


async def test_where_it_is_off_the_call_changes_nothing(make_genesis: Callable[..., Genesis]) -> None:
    async with EmbeddedChain(make_genesis(era="y2", tempo=TEMPO)) as chain:
        await chain.carry_out(SetWeights(1, (MINER,), (1,)), key("v0"))
        await chain.advance(2 * TEMPO)
        before = await chain.bonds(1)
        await chain.carry_out(ResetBonds(1), key("m0"))
        assert await chain.bonds(1) == before
        assert await bonded(chain)
        await chain.carry_out(SetHyperparameter(1, "bonds_reset", 1), key("owner"))
        await chain.carry_out(ResetBonds(1), key("m0"))
        assert await bonded(chain) == {}


@pytest.mark.parametrize(("era", "error"), [("y2", "AccountNotAllowedCommit"), ("2024", "CallDisabled")])
async def test_strangers_and_2024_have_none(
    make_genesis: Callable[..., Genesis], era: str, error: str
) -> None:
    async with EmbeddedChain(make_genesis(era=era)) as chain:
        for netuid in (1, 9):
            with pytest.raises(CallRefused, match=error):
                await chain.carry_out(ResetBonds(netuid), key("rich"))


async def test_a_chain_with_given_up_bonds_is_made_again(open_small: Any, tmp_path: Path) -> None:
    given = {"era": "y2", "bonds_reset": True, "tempo": 9}
    async with open_small(**given) as chain:
        assert await chain.submit(SetWeights(1, (MINER, MINER + 1), (1, 1)), "v0") is None
        await chain.client.advance(9)
        assert (await chain.client.bonds(1))[0][MINER]
        assert await chain.submit(ResetBonds(1), "m0") is None
        at_once = await chain.client.state_hash()
    node = ChainNode.open(tmp_path / "chain", None)
    assert await node.hash_state() == at_once, "what was given up is given up on disk, too"
    node.close()
    async with open_small(**given) as chain:
        await chain.client.advance(9)
        before = await chain.client.state_hash()
    assert replay(tmp_path / "chain").state_hash == before
