"""kill -9 of a validator process at random moments of its rounds: what it acknowledged comes back."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "neurons" / "plugins"))

from neurons_world import World, make_world

KILLS = 20


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, block_time=0.1, tempo=20)
    yield made
    made.stop()


def state(world: World) -> Path:
    return next((world.folder / "nodes").glob("validator-*.sqlite"))


def query(world: World, statement: str) -> list[tuple[Any, ...]]:
    rows = sqlite3.connect(state(world))
    try:
        return rows.execute(statement).fetchall()
    finally:
        rows.close()


def said(world: World) -> dict[int, dict[str, Any]]:
    """Every round that was acknowledged to the outside, by number."""
    file = world.folder / "events.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {line["round"]: line for line in lines if line["event"] == "round"}


def wait_for_round(world: World, after: int) -> None:
    end = time.monotonic() + 30
    while len(said(world)) <= after:
        assert time.monotonic() < end, (world.folder / "validator.log").read_text()
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_acknowledged_round_is_lost(world: World) -> None:
    dice = random.Random(7)
    miner = world.start("miner", *world.common("m0"), log="miner.log")
    arguments = ("--round-blocks", "1", "--events", str(world.folder / "events.jsonl"))
    try:
        for _ in range(KILLS):
            before = len(said(world))
            process = world.start("validator", *world.common("v0"), *arguments, log="validator.log")
            wait_for_round(world, before)
            time.sleep(dice.random() * 0.4)
            assert process.poll() is None, (world.folder / "validator.log").read_text()
            process.send_signal(signal.SIGKILL)
            process.wait()
            done = {row[0] for row in query(world, "SELECT number FROM rounds WHERE status = 'done'")}
            assert set(said(world)) <= done
            (stored,) = query(world, "SELECT average FROM scores")[0]
            newest = said(world)[max(said(world))]["miners"][0]["average"]
            assert stored >= newest > 0
    finally:
        miner.terminate()
        assert miner.wait(15) == 0, (world.folder / "miner.log").read_text()
    assert "Traceback" not in (world.folder / "validator.log").read_text()
    per_epoch = query(
        world,
        "SELECT count(*) FROM vectors WHERE status != 'refused' GROUP BY network, netuid, epoch, hotkey",
    )
    assert per_epoch
    assert all(count == (1,) for count in per_epoch)
    assert query(world, "SELECT count(*) FROM vectors WHERE status = 'landed'")[0][0] >= 1
