"""A whole network in one process: honest work pays, faults show, a run can be repeated, and it takes a second."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sums import Adder, Sum, SumSubnet

from ranvier.neurons.localnet.cast import Kind
from ranvier.protocol import Caller
from ranvier.subnets import Answer, Cheat, EngineNeed, Miner, Round, Task, Verdict, banded
from ranvier.testing import (
    BadSetup,
    ChainStops,
    Hang,
    Lab,
    Leave,
    Lie,
    NodeFailed,
    NotOpen,
    Replace,
    Report,
    Return,
)

CHURN = (
    Hang(5, "honest-1"),
    Return(10, "honest-1"),
    Lie(12, "honest-2"),
    Return(18, "honest-2"),
    Leave(20, "honest-3"),
    Return(24, "honest-3"),
    ChainStops(26, 8),
    Replace(30, "honest-4"),
)


class Guess(Miner[Sum]):
    async def answer(self, request: Sum, caller: Caller) -> Any:
        return Sum.Reply(total=request.left + request.right)


class LaxSubnet(SumSubnet):
    """Pays whoever answers."""

    name = "lax"

    async def score(self, round: Round, answers: Sequence[Answer[Sum]]) -> Sequence[Verdict]:
        return [Verdict(1.0, "answered") for _ in answers]


def reasons(report: Report, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in report[name].verdicts:
        word = one.reason.split(":")[0]
        found[word] = found.get(word, 0) + one.count
    return found


def test_fifty_rounds_cost_seconds_and_honest_work_pays_best() -> None:
    started = time.process_time()
    with Lab(SumSubnet, honest=3) as lab:
        report = lab.run(50)
    assert time.process_time() - started < 20
    report.honest_pay_best(disagreement=0.02)
    assert (report.rounds, report.epochs) == (50, 9)
    assert [row.kind for row in report.participants] == [Kind.VALIDATOR] * 3 + [Kind.HONEST] * 3 + [Kind.FREE]
    for name in ("validator-1", "validator-2", "validator-3"):
        row = report[name]
        assert (row.weights_landed, row.weights_missed) == (10, 0)
        assert row.rounds >= 50
        assert row.dividends > 0
    assert {report[f"honest-{number}"].share for number in (1, 2, 3)} >= {1.0}
    assert report["zero"].pay == 0
    assert reasons(report, "zero") == {"wrong sum": report["zero"].asked}
    with pytest.raises(KeyError, match="honest-3"):
        report["nobody"]


def test_a_subnet_that_pays_for_nothing_fails_and_says_why() -> None:
    with Lab(LaxSubnet) as lab:
        report = lab.run(20)
    with pytest.raises(AssertionError, match=r"zero \(free\) earned 1.0\d\d of an honest miner"):
        report.honest_pay_best()
    report.honest_pay_best(bounds={"free": 1.1, "relay": 0.02, "cheaper": 0.2})


def test_every_fault_shows_and_a_run_can_be_repeated() -> None:
    reports = []
    for _ in range(2):
        with Lab(SumSubnet, honest=5, faults=CHURN, seed=7) as lab:
            reports.append(lab.run(45))
    report = reports[0]
    assert report == reports[1]
    assert reasons(report, "honest-1")["timed out"] == 15
    assert 12 <= reasons(report, "honest-2")["wrong sum"] <= 18
    assert 12 <= reasons(report, "honest-3")["unreachable"] <= 15
    assert report["honest-4"].uid is None
    assert report["honest-4-successor-1"].uid == 6
    assert 0 < report["honest-4-successor-1"].pay < report["honest-5"].pay
    assert report["honest-4"].asked < report["honest-5"].asked
    assert {row.weights_missed for row in report.participants} == {0}
    for number in range(1, 5):
        assert report[f"honest-{number}"].share < 1.0
        assert report[f"honest-{number}"].faults
    assert report.failures() == ()


def test_another_seed_is_another_run() -> None:
    found = []
    for seed in (1, 2):
        with Lab(SumSubnet, seed=seed) as lab:
            found.append(lab.run(5))
    assert found[0] != found[1]


def test_a_validator_may_leave_and_come_back_with_its_scores() -> None:
    faults = [Leave(10, "validator-2"), Return(20, "validator-2"), Replace(25, "validator-3", serves=False)]
    with Lab(SumSubnet, faults=faults) as lab:
        report = lab.run(40)
    whole, absent = report["validator-1"], report["validator-2"]
    assert whole.rounds - 11 <= absent.rounds <= whole.rounds - 9
    assert report["validator-3"].uid is None
    assert report["validator-3-successor-1"].pay == 0
    report.honest_pay_best()


def test_it_may_be_held_again_and_its_time_is_not_ours() -> None:
    with Lab(SumSubnet, faults=[Hang(1, "honest-1")]) as lab:
        first = lab.run(3)
        second = lab.run(3)
    assert (first.rounds, second.rounds) == (3, 6)
    assert second["honest-1"].asked > first["honest-1"].asked
    assert second.seconds >= 12 * 12


async def test_it_runs_beside_a_loop_that_goes_on() -> None:
    async with Lab(SumSubnet) as lab:
        report = await lab.hold(4)
    assert report["honest-1"].verified > 0


async def test_real_sockets_give_the_same_picture() -> None:
    async with Lab(SumSubnet, sockets=True, faults=[Leave(3, "honest-1")]) as lab:
        report = await lab.hold(8)
    assert report["honest-2"].verified > report["honest-1"].verified > 0
    assert reasons(report, "honest-1")["unreachable"] > 0


class Slow(Miner[Sum]):
    async def answer(self, request: Sum, caller: Caller) -> Any:
        import asyncio

        await asyncio.sleep(2.0)
        return Sum.Reply(total=request.left + request.right)


class Thinker(Adder):
    async def answer(self, request: Sum, caller: Caller) -> Any:
        import asyncio

        await asyncio.to_thread(_think)
        return await super().answer(request, caller)


def _think() -> None:
    end = time.thread_time() + 0.002
    while time.thread_time() < end:
        pass


class RacingSubnet(SumSubnet):
    """Pays by speed."""

    name = "racing"
    miner = Thinker

    async def score(self, round: Round, answers: Sequence[Answer[Sum]]) -> Sequence[Verdict]:
        return banded(answers, await super().score(round, answers))


def test_waiting_counts_as_time_and_thinking_as_cost() -> None:
    with Lab(RacingSubnet, cheats={"slow": Cheat(Slow, "cheaper")}) as lab:
        report = lab.run(20)
    assert report["slow"].pay < report["honest-1"].pay
    for name in ("honest-1", "honest-2"):
        row = report[name]
        assert row.cpu >= 0.002 * row.answers
        assert row.pay_per_cpu_second == pytest.approx(row.pay / row.cpu)
    assert report["slow"].cpu < 0.2 * report["honest-1"].cpu


class BrokenSubnet(SumSubnet):
    name = "broken"

    def tasks(self, round: Round) -> Iterable[Task[Sum]]:
        raise RuntimeError("no tasks today")


def test_a_validator_that_ends_is_named_with_its_cause() -> None:
    with (
        Lab(BrokenSubnet) as lab,
        pytest.raises(NodeFailed, match=r"validator-\d ended: no tasks today") as failed,
    ):
        lab.run(3)
    assert isinstance(failed.value.__cause__, RuntimeError)


class NeedySubnet(SumSubnet):
    name = "needy"
    engine = EngineNeed("text")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"honest": 0}, "honest miner"),
        ({"validators": (10,)}, "TAO of stake"),
        ({"faults": [Hang(1, "honest-9")]}, "names nobody"),
        ({"faults": [Hang(1, "validator-1")]}, "answers nobody"),
        ({"faults": [Lie(1, "honest-1", "clever")]}, "no cheat 'clever'"),
        ({"faults": [Lie(1, "honest-1")], "cheats": {}}, "there are: none"),
        ({"faults": [ChainStops(1, 0)]}, "stops nothing"),
    ],
)
def test_a_network_that_cannot_be_is_refused_before_it_starts(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetup, match=said):
        Lab(SumSubnet, **wrong)


def test_a_missing_engine_is_named() -> None:
    with pytest.raises(BadSetup, match="text engine"):
        Lab(NeedySubnet)


def test_it_is_used_inside_its_context_only() -> None:
    lab = Lab(SumSubnet)
    with pytest.raises(NotOpen, match="open the laboratory"):
        lab.run(1)


def test_the_report_is_json_and_a_table(tmp_path: Path) -> None:
    with Lab(SumSubnet) as lab:
        report = lab.run(10)
    report.write(tmp_path / "report.json")
    assert Report.from_json((tmp_path / "report.json").read_text()) == report
    with pytest.raises(ValidationError):
        Report.from_json("{}")
    from rich.console import Console

    console = Console(width=160, record=True, file=(tmp_path / "sink").open("w"))
    console.print(report.table())
    console.file.close()
    text = console.export_text()
    assert "honest-1" in text
    assert "wrong sum" in text
    assert "validators disagree by" in text
