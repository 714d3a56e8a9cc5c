"""kill -9 of the chain in mid-block: what was acknowledged is there, once, and nothing else changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# ruff: noqa: E402 - the helpers are found by the line above them
sys.path[:0] = [str(Path(__file__).parent / "plugins")]

from chain_kill_run import KINDS, OF_ALPHA, run


async def _nothing_is_lost(folder: Path, kills: int, seed: int, *, alpha: bool = False) -> None:
    report = await run(folder, kills, seed, alpha=alpha)
    assert report.faults == []
    assert sum(report.moments.values()) == kills
    assert report.state_hash == report.replayed_hash
    assert report.acknowledged.keys() >= (OF_ALPHA if alpha else KINDS)
    assert report.replayed_calls >= sum(report.acknowledged.values())


async def test_a_chain_killed_in_mid_block_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    await _nothing_is_lost(tmp_path, kills=4, seed=1)


async def test_neither_is_a_chain_with_alpha(tmp_path: Path) -> None:
    """Pools, trades and limits, payments that are sold to a pool: the same state hash after every death."""
    await _nothing_is_lost(tmp_path, kills=3, seed=3, alpha=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_twenty_deaths_with_alpha(tmp_path: Path) -> None:
    await _nothing_is_lost(tmp_path, kills=20, seed=4, alpha=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_twenty_deaths(tmp_path: Path) -> None:
    """On demand: `python tests/faults/plugins/chain_kill_run.py --kills 200 --json FILE`."""
    await _nothing_is_lost(tmp_path, kills=20, seed=2)
