"""Whole chains made again, carried elsewhere, and found out when somebody changed them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ranvier.chain import (
    RAO,
    AddStake,
    BadCheckpoint,
    BadGenesis,
    BecomeDelegate,
    Checkpoint,
    CreateSubnet,
    Keypair,
    Register,
    ReplayDiffers,
    RootRegister,
    SetWeights,
    StateUnusable,
    Transfer,
)
from ranvier.chain.node import ChainNode
from ranvier.chain.replay import replay
from ranvier.chain.store import SCHEMA_VERSION


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


LIFE: list[tuple[Any, str]] = [
    (BecomeDelegate(address("v0"), 5000), "cold"),
    (AddStake(address("v0"), RAO), "rich"),
    (Register(1, address("new")), "cold"),
    (SetWeights(1, (3, 4), (1, 2)), "v0"),
    (Transfer(address("poor"), 10**15), "rich"),
    (RootRegister(address("v1")), "cold"),
    (CreateSubnet(address("hot"), "mine"), "cold"),
]


async def live(chain: Any) -> None:
    """Calls of several kinds, one of which is refused, with epochs between and after them."""
    for call, who in LIFE:
        await chain.submit(call, who)
    await chain.client.advance(12)


async def test_a_chain_made_again_is_the_same_chain(open_small: Any, tmp_path: Path) -> None:
    async with open_small() as chain:
        await live(chain)
        before = await chain.client.state_hash()
    done = replay(tmp_path / "chain")
    assert (done.first, done.last, done.calls) == (0, 19, len(LIFE))
    assert done.state_hash == before


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_where_no_chain_is_nothing_is_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StateUnusable, match=r"holds no chain to replay; name the folder"):
        replay(tmp_path / name)
    with pytest.raises(BadGenesis, match="holds no chain yet; name a genesis file or a preset"):
        ChainNode.open(tmp_path / name, None)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE signed SET body = replace(body, '1000000000', '1000000001') WHERE block = 2",
        "UPDATE block SET timestamp = timestamp + 1 WHERE number = 3",
        "DELETE FROM signed WHERE block = 3",
        "UPDATE state SET value = replace(value, '1', '2') WHERE name LIKE 'balance/%'",
    ],
    ids=["call", "timestamp", "lost call", "state"],
)
async def test_a_changed_history_is_found_out(open_small: Any, tmp_path: Path, change: str) -> None:
    async with open_small() as chain:
        await live(chain)
    db = sqlite3.connect(tmp_path / "chain" / "chain.sqlite")
    assert db.execute(change).rowcount > 0
    db.commit()
    db.close()
    with pytest.raises(ReplayDiffers):
        replay(tmp_path / "chain")


async def test_a_checkpoint_goes_on_elsewhere_as_the_chain_does(open_small: Any, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.json"
    async with open_small() as chain:
        await live(chain)
        (await chain.client.checkpoint()).write(file)
        await chain.submit(Transfer(address("poor"), RAO), "cold")
        await chain.client.advance(7)
        original = await chain.client.state_hash()
    Checkpoint.read(file).restore(tmp_path / "copy")
    async with open_small("copy") as chain:
        await chain.submit(Transfer(address("poor"), RAO), "cold")
        await chain.client.advance(7)
        assert await chain.client.state_hash() == original
        with pytest.raises(BadCheckpoint, match="holds a chain already"):
            Checkpoint.read(file).restore(tmp_path / "chain")
    done = replay(tmp_path / "copy")
    assert (done.first, done.state_hash) == (19, original)


async def test_a_checkpoint_that_was_changed_is_refused(open_small: Any, tmp_path: Path) -> None:
    async with open_small() as chain:
        await live(chain)
        made = await chain.client.checkpoint()
    rich = f"balance/{address('rich')}"
    for records in (
        {**made.records, rich: str(10**15)},
        {name: value for name, value in made.records.items() if name != rich},
        {**made.records, "head": "{"},
        {**made.records, "subnet/1/weights/0": "[1]"},
    ):
        with pytest.raises(BadCheckpoint, match=r"state hash|damaged"):
            made.model_copy(update={"records": records}).restore(tmp_path / "copy")
    (tmp_path / "torn").write_text(made.model_dump_json()[:1000])
    (tmp_path / "no version").write_text(made.model_dump_json(exclude={"version"}))
    (tmp_path / "schema 4").write_text(
        made.model_dump_json().replace(f'"version":{SCHEMA_VERSION}', '"version":4')
    )
    for name in ("torn", "missing", "no version", "schema 4"):
        with pytest.raises(BadCheckpoint, match=name):
            Checkpoint.read(tmp_path / name)
    assert not (tmp_path / "copy").exists()
