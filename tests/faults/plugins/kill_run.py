"""Kills a validator again and again: `python tests/faults/plugins/kill_run.py --kills 200 --json FILE`."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "neurons" / "plugins")]

# ruff: noqa: E402 - the helpers lie beside this file, wherever it is started
from kill_audit import figures, spoken_faults, state_faults
from kill_world import HIDDEN, OPEN, PACE, TEMPO, KillWorld, Victim, kill_world
from mortal import POINTS, SCORING

SIGKILLED = -9
ANYWHERE = "at any time"
FLIGHT = "with the call in flight"
PATIENCE = 60.0
"""Seconds in which a point must be reached."""
NEVER = {
    (OPEN, "between commit and reveal"),
    (OPEN, "after the reveal, before its note"),
}


@dataclass
class Report:
    """A run. `downtime` is in blocks that passed while no validator ran."""

    kills: int
    points: dict[str, int] = field(default_factory=dict)
    died_elsewhere: int = 0
    downtime: int = 0
    start_seconds: float = 0.0
    figures: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """One life's end."""

    point: str
    netuid: int
    skip: int
    delay: float

    @property
    def death(self) -> str:
        """As `mortal` reads it; empty where the kill comes from outside."""
        point = "between intent and send" if self.point == FLIGHT else self.point
        return "" if point == ANYWHERE else f"{point} {self.netuid} {self.skip} {self.delay:.3f}"


def plans(kills: int, seed: int) -> list[Plan]:
    """Every point once before any comes twice, in random order."""
    dice = random.Random(seed)
    places = [
        (point, netuid)
        for point in (*POINTS, SCORING, FLIGHT, ANYWHERE)
        for netuid in (OPEN, HIDDEN)
        if (netuid, point) not in NEVER
    ]
    made: list[Plan] = []
    while len(made) < kills:
        made += [_plan(point, netuid, dice) for point, netuid in dice.sample(places, len(places))]
    return made[:kills]


def _plan(point: str, netuid: int, dice: random.Random) -> Plan:
    often = point in (
        SCORING,
        "while scores are written",
        "before a round's commit",
        "after a round's commit",
    )
    longest = {FLIGHT: 2 * PACE, "between commit and reveal": TEMPO * PACE, ANYWHERE: 5.0}.get(point, 0.0)
    return Plan(point, netuid, dice.randrange(4) if often else 0, dice.random() * longest)


async def run(folder: Path, lives: Sequence[Plan], say: Callable[[str], object] = len) -> Report:
    """End each life as planned, then let one go on until every promise is kept; nothing is asserted here."""
    report = Report(len(lives))
    dice, points, starts = random.Random(len(lives)), Counter[str](), list[float]()
    async with kill_world(folder) as world:
        victim = Victim(world)
        for number, plan in enumerate(lives):
            started = time.perf_counter()
            if not await _live(world, victim, plan, starts):
                report.died_elsewhere += 1
            points[plan.point] += 1
            found = state_faults(world)
            if victim.ended != SIGKILLED:
                found.append(f"it ended by itself with {victim.ended}: {victim.log[-600:]}")
            report.faults += [
                f"kill {number} ({plan.point}, subnet {plan.netuid}): {fault}" for fault in found
            ]
            pause = dice.choice((0, 0, 1, 5))
            report.downtime += pause
            await world.block(pause)
            seconds = time.perf_counter() - started
            say(f"{number + 1}/{len(lives)} {plan.point} {plan.netuid} {seconds:.1f} s\n")
        await _last_life(world, victim, report)
        report.faults += state_faults(world) + await spoken_faults(world)
        report.figures = figures(world)
    report.points = dict(sorted(points.items()))
    report.start_seconds = round(statistics.median(starts), 2) if starts else 0.0
    return report


async def _live(world: KillWorld, victim: Victim, plan: Plan, starts: list[float]) -> bool:
    """One life to its end; whether it died where it was meant to."""
    began = time.perf_counter()
    victim.start(plan.death)
    if plan.point == ANYWHERE and await victim.dead(plan.delay / 2):
        return False
    if plan.point == ANYWHERE and plan.delay < 1:
        victim.kill()
        return True
    if await victim.up():
        starts.append(time.perf_counter() - began)
        world.tick()
        died = await victim.dead(plan.delay if plan.point == ANYWHERE else PATIENCE)
        world.hush()
        if died:
            return plan.point != ANYWHERE
    if victim.ended is None:
        victim.kill()
        return plan.point == ANYWHERE
    return False


async def _last_life(world: KillWorld, victim: Victim, report: Report) -> None:
    victim.start()
    if await victim.up():
        end = world.node.head.number + 4 * TEMPO
        world.tick()
        while world.node.head.number < end and victim.ended is None:
            await asyncio.sleep(PACE)
        world.hush()
    ended = victim.ended if victim.ended is not None else victim.kill(15)
    if ended != 0:
        report.faults.append(f"the last one ended with {ended}: {victim.log[-600:]}")


def main() -> int:
    """The runner on demand; 1 where anything was lost, contradicted or not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lives = plans(given.kills, given.seed)
        report = asyncio.run(run(Path(folder), lives, sys.stderr.write))
    text = json.dumps({"seed": given.seed, **asdict(report)}, indent=1) + "\n"
    if given.json:
        given.json.write_text(text)
    sys.stdout.write(text)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
