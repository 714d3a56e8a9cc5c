"""Measuring one case: its lanes in turn, round after round, and the medians of the rounds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cases import OURS, Case, Lane
from driver import Turn
from process import PeerFailed, Process, Processes


@dataclass(frozen=True)
class Sample:
    """One turn of one lane. CPU is that of the whole process, all its threads, user and system."""

    client_ms: float
    server_ms: float
    each_second: float


@dataclass(frozen=True)
class Row:
    """One lane of a case: CPU ms for each request, medians over the rounds; ``failure`` where there is none."""

    case: str
    lane: str
    client_ms: float = math.nan
    server_ms: float = math.nan
    both_ms: float = math.nan
    each_second: float = math.nan
    failure: str = ""


@dataclass(frozen=True)
class Verdict:
    """One bar of a case: our time as a multiple of another lane's, and the most it may be."""

    case: str
    beside: str
    ratio: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether the bar is kept; not, where it could not be measured."""
        return self.ratio <= self.limit


@dataclass
class _Run:
    """A lane with its processes, and what was measured of it."""

    lane: Lane
    turn: Turn
    client: Process
    server: Process
    samples: list[Sample]

    async def warm(self) -> None:
        """Open the connections again that were closed while others had their turn."""
        least = max(self.turn.at_once, len(self.turn.ports), min(3, self.turn.requests))
        await self.client.asked(replace(self.turn, requests=least, warm=True).line())

    async def measured(self) -> Sample:
        """One turn. Raises `PeerFailed`."""
        await self.warm()
        before = (await self.server.asked())["cpu"]
        client = await self.client.asked(self.turn.line())
        served = (await self.server.asked())["cpu"] - before
        count = self.turn.requests
        return Sample(client["cpu"] * 1e3 / count, served * 1e3 / count, count / client["wall"])


async def measure(case: Case, processes: Processes, requests: int, rounds: int) -> list[Row]:
    """A row for each lane, in the case's order; lanes that fail say why and are left out of further rounds."""
    runs: dict[str, _Run] = {}
    failures: dict[str, str] = {}
    for lane in case.lanes:
        try:
            runs[lane.label] = await _prepared(case, lane, processes, requests)
        except PeerFailed as failed:
            failures[lane.label] = str(failed)
    for turn in range(rounds + 1):
        for label, run in list(runs.items()):
            try:
                sample = await run.measured()
            except PeerFailed as failed:
                failures[label] = str(failed)
                del runs[label]
                continue
            if turn or not rounds:  # the first round warms up caches, pools and branch predictors
                run.samples.append(sample)
    return [_row(case, lane, runs.get(lane.label), failures) for lane in case.lanes]


async def _prepared(case: Case, lane: Lane, processes: Processes, requests: int) -> _Run:
    server = await processes.get("server", lane.server, case.axons)
    client = await processes.get("client", lane.client, 1)
    step = max(case.at_once, case.axons)
    count = math.ceil(max(1.0, requests * case.weight * lane.share) / step) * step
    turn = Turn(lane.kind, case.size, server.ports, case.at_once, count)
    return _Run(lane, turn, client, server, [])


def _row(case: Case, lane: Lane, run: _Run | None, failures: dict[str, str]) -> Row:
    if run is None:
        return Row(case.key, lane.label, failure=failures[lane.label])
    client, server, both, speed = (
        statistics.median(column)
        for column in zip(
            *((s.client_ms, s.server_ms, s.client_ms + s.server_ms, s.each_second) for s in run.samples),
            strict=True,
        )
    )
    return Row(case.key, lane.label, client, server, both, speed)


def verdicts(case: Case, rows: Sequence[Row]) -> list[Verdict]:
    """Each bar of the case; a ratio is NaN where its rival was not measured."""
    times = {row.lane: row.both_ms for row in rows}
    return [
        Verdict(case.key, beside, times[OURS] / times[beside], limit) for beside, limit in case.bars.items()
    ]
