"""kill -9 of a validator of an open and of a commit-reveal subnet, at every point that matters and at any time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# ruff: noqa: E402 - the helpers are found by the lines above them
sys.path[:0] = [
    str(Path(__file__).parent / "plugins"),
    str(Path(__file__).parents[1] / "neurons" / "plugins"),
]

from kill_run import HIDDEN, OPEN, Plan, plans, run
from mortal import POINTS

KILLS = 24
"""Every point on both subnets."""


def test_the_plan_leaves_no_point_out() -> None:
    made = plans(KILLS, 7)
    assert {plan.point for plan in made} >= set(POINTS)
    assert len({(plan.point, plan.netuid) for plan in made}) == KILLS
    assert plans(KILLS, 7) == made != plans(KILLS, 8)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_contradicted_or_left_unkept(tmp_path: Path) -> None:
    """On demand: `python tests/faults/plugins/kill_run.py --kills 200 --json docs/reports/kill-200.json`."""
    report = await run(tmp_path, plans(KILLS, 7))
    assert report.faults == []
    assert report.kills == KILLS
    assert report.figures["promises kept"] >= 4
    assert report.figures["vectors set in the open"] >= 4


@pytest.mark.timeout(120)
async def test_the_moments_around_a_sending(tmp_path: Path) -> None:
    points = (
        (OPEN, "between intent and send", 0.0),
        (HIDDEN, "after the send, before its note", 0.0),
        (HIDDEN, "between commit and reveal", 0.2),
        (HIDDEN, "after the reveal, before its note", 0.0),
    )
    report = await run(tmp_path, [Plan(point, netuid, 0, delay) for netuid, point, delay in points])
    assert report.faults == []
    assert report.died_elsewhere == 0
    assert report.figures["promises kept"] >= 1
