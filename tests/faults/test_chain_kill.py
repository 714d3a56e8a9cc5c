"""kill -9 of the chain in mid-block: what was acknowledged is there, once, and nothing else changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# ruff: noqa: E402 - the helpers are found by the line above them
sys.path[:0] = [str(Path(__file__).parent / "plugins")]

from chain_kill_run import KINDS, run


async def _nothing_is_lost(folder: Path, kills: int, seed: int) -> None:
    report = await run(folder, kills, seed)
    assert report.faults == []
    assert sum(report.moments.values()) == kills
    assert report.state_hash == report.replayed_hash
    assert report.acknowledged.keys() >= KINDS
    assert report.replayed_calls >= sum(report.acknowledged.values())


async def test_a_chain_killed_in_mid_block_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    await _nothing_is_lost(tmp_path, kills=4, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_twenty_deaths(tmp_path: Path) -> None:
    """On demand: `python tests/faults/plugins/chain_kill_run.py --kills 200 --json FILE`."""
    await _nothing_is_lost(tmp_path, kills=20, seed=2)
