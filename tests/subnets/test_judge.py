"""Rule 3: what one miner's bytes break costs that miner; what our engine breaks costs nobody."""

from __future__ import annotations

import pytest

from ranvier.engines.errors import EngineRefused, EngineTimeout, EngineUnreachable
from ranvier.subnets import Verdict, judge


def values(verdicts: list[Verdict]) -> list[float | None]:
    return [verdict.value for verdict in verdicts]


async def test_a_breaking_answer_costs_only_its_miner(subnet, round_of, answer_of) -> None:
    answers = [answer_of("a"), answer_of("hostile", twice=-1), answer_of("b"), answer_of("wrong", twice=3)]
    verdicts = await judge(subnet, round_of("a"), answers)
    assert values(verdicts) == [1.0, 0.0, 1.0, 0.0]
    assert "ArithmeticError" in verdicts[1].reason
    assert not verdicts[1].caught


@pytest.mark.parametrize(
    "error",
    [
        EngineUnreachable("e", "gone"),
        EngineTimeout("e", 3),
        EngineRefused("e", 429, "full"),
        EngineRefused("e", 500, "x"),
    ],
    ids=str,
)
async def test_our_engine_failing_scores_nobody(subnet, round_of, answer_of, error) -> None:
    subnet.broken = error
    assert values(await judge(subnet, round_of("a"), [answer_of("a"), answer_of("b")])) == [None, None]


async def test_an_engine_that_refuses_everything_scores_nobody(subnet, round_of, answer_of) -> None:
    subnet.broken = EngineRefused("e", 400, "no such model")
    assert values(await judge(subnet, round_of("a"), [answer_of("a"), answer_of("b")])) == [None, None]


async def test_an_answer_the_engine_refuses_does_not_freeze_the_others(
    subnet, round_of, answer_of, monkeypatch
) -> None:
    def refuse(answer):
        if answer.reply.twice == 666:
            raise EngineRefused("e", 400, "a token id lies outside the vocabulary")
        return Verdict(1.0, "good")

    monkeypatch.setattr(subnet, "_judge", refuse)
    verdicts = await judge(
        subnet, round_of("a"), [answer_of("a"), answer_of("poison", twice=666), answer_of("b")]
    )
    assert values(verdicts) == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan")])
async def test_values_out_of_range_are_the_scorers_bug_and_never_reach_the_book(
    subnet, round_of, answer_of, monkeypatch, value
) -> None:
    monkeypatch.setattr(subnet, "_judge", lambda answer: Verdict(value, "too good"))
    assert values(await judge(subnet, round_of("a"), [answer_of("a")])) == [0.0]


async def test_nothing_to_judge_asks_nobody(subnet, round_of) -> None:
    subnet.broken = AssertionError("score was called")
    assert await judge(subnet, round_of("a"), []) == []
