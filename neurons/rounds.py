"""One round of a validator: tasks, one instant, answers, audits drawn afterwards, verdicts, acknowledgement."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ranvier.chain import Block, ChainClient, ChainError, Metagraph
from ranvier.neurons.events import MinerLine, RoundReport
from ranvier.neurons.follow import peers
from ranvier.neurons.keeper import ScoreKeeper
from ranvier.protocol import Answered, Dendrite, Outcome, Refused, TimedOut, Unreachable
from ranvier.subnets import (
    Answer,
    Entry,
    EpochSecret,
    Result,
    Round,
    Subnet,
    Task,
    Verdict,
    draw_audits,
    judge,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a round is held."""

    netuid: int
    validator: str
    block: Block
    epoch: int


class Rounds:
    """Holds rounds one after another; nothing a miner does can make one fail."""

    def __init__(
        self, subnet: Subnet[Any], dendrite: Dendrite, keeper: ScoreKeeper, chain: ChainClient,
        metagraph: Callable[[], Metagraph],
    ) -> None:  # fmt: skip
        """``metagraph`` gives the newest one: before the round for its peers, and after it for who is still there."""
        self._subnet, self._dendrite, self._keeper = subnet, dendrite, keeper
        self._chain, self._metagraph = chain, metagraph

    async def hold(self, place: Place, secret: EpochSecret) -> RoundReport | None:
        """One acknowledged round; None where there was nobody to ask or where our own network failed."""
        before = self._metagraph()
        members = tuple(peers(before, place.validator))
        if not members:
            return None
        started = time.perf_counter()
        number = self._keeper.open_round(place.block.number, place.block.hash, place.epoch)
        round_ = Round(
            *(number, place.netuid, place.block.number, place.block.hash, place.validator, members),
            secret=secret.secret,
        )
        tasks = [task for task in self._subnet.tasks(round_) if task.peer in members]
        outcomes = await self._ask(tasks)
        if await self._cut_off(outcomes):
            self._keeper.void(number, "no miner and no chain could be reached: our own network failed")
            return None
        results = await self._results(round_, tasks, outcomes)
        seconds = time.perf_counter() - started

        def report(entries: dict[str, Entry]) -> RoundReport:
            return _report(place, round_, seconds, results, entries)

        return self._keeper.acknowledge(number, results, before, self._metagraph(), report)

    async def _ask(self, tasks: Sequence[Task[Any]]) -> list[Outcome[Any]]:
        deadline = self._subnet.context.settings.deadline
        return await self._dendrite.ask_all(
            [(task.peer.target, task.request) for task in tasks], deadline=deadline
        )

    async def _cut_off(self, outcomes: Sequence[Outcome[Any]]) -> bool:
        """Whether the fault is ours: nobody at all could be reached, and the chain neither."""
        if not outcomes or not all(isinstance(outcome, Unreachable) for outcome in outcomes):
            return False
        try:
            await self._chain.block()
        except ChainError:
            return True
        return False

    async def _results(
        self, round_: Round, tasks: Sequence[Task[Any]], outcomes: Sequence[Outcome[Any]]
    ) -> list[Result]:
        answers = [
            Answer(task, outcome)
            for task, outcome in zip(tasks, outcomes, strict=True)
            if isinstance(outcome, Answered)
        ]
        rate = self._subnet.context.settings.audit_rate
        audited = draw_audits(round_, answers, rate, self._keeper.records)
        verdicts = await judge(self._subnet, round_, audited)
        by_task = {id(answer.task): verdict for answer, verdict in zip(audited, verdicts, strict=True)}
        return [
            Result(task.peer.hotkey, outcome, by_task.get(id(task)))
            for task, outcome in zip(tasks, outcomes, strict=True)
        ]


def _report(
    place: Place, round_: Round, seconds: float, results: Sequence[Result], entries: dict[str, Entry]
) -> RoundReport:
    lines = (
        _line(peer.hotkey, peer.uid, [result for result in results if result.hotkey == peer.hotkey], entries)
        for peer in round_.peers
    )
    return RoundReport(
        validator=place.validator,
        netuid=place.netuid,
        round=round_.number,
        block=place.block.number,
        epoch=place.epoch,
        seconds=seconds,
        miners=tuple(lines),
    )


def _line(hotkey: str, uid: int, results: Sequence[Result], entries: dict[str, Entry]) -> MinerLine:
    answered = [result for result in results if isinstance(result.outcome, Answered)]
    counted = [result.value for result in results if result.value is not None]
    return MinerLine(
        hotkey=hotkey,
        uid=uid,
        asked=len(results),
        answered=len(answered),
        verified=sum(bool(result.verdict and result.verdict.value) for result in answered),
        value=sum(counted) / len(counted) if counted else None,
        average=entries[hotkey].average if hotkey in entries else 0.0,
        elapsed=sum(result.outcome.elapsed for result in answered) / len(answered) if answered else None,
        reason=next((text for text in map(_reason, results) if text), ""),
    )


def _reason(result: Result) -> str:
    """Why this task counted as it did."""
    verdict: Verdict | None = result.verdict
    outcome = result.outcome
    if isinstance(outcome, Answered):
        return verdict.reason if verdict else "answered, not audited"
    if isinstance(outcome, Refused):
        return f"refused: {outcome.code}"
    return (
        "timed out"
        if isinstance(outcome, TimedOut)
        else f"{type(outcome).__name__.lower()}: {outcome.reason}"
    )
