"""Rule 4 in figures: hundreds of rounds, real audit draws and book, miners that cheat in different ways.

A miner's pay is the sum over rounds of the average that weights are made of. Without penalties an always-cheat would
keep 95 % of an honest miner's pay at 5 % audits (reference figure); here it keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ranvier.protocol import Answered
from ranvier.subnets import Answer, Result, ScoreBook, SubnetSettings, Verdict, draw_audits

ROUNDS = 300
Cheats = Callable[[int], bool]

RATES = [0.05, 0.1, 0.25, 0.5, 1.0]


def never(number: int) -> bool:
    return False


def always(number: int) -> bool:
    return True


def sleeper(number: int) -> bool:
    """Honest until its record is good, then never again."""
    return number >= 100


def every_tenth(number: int) -> bool:
    return number % 10 == 9


@pytest.fixture
def pay(round_of, answer_of):
    def play(rate: float, caught: bool, **miners: Cheats) -> dict[str, float]:
        settings = SubnetSettings(audit_rate=rate, penalty_rounds=20, alpha=0.1)
        book, total = ScoreBook(settings), dict.fromkeys(miners, 0.0)
        for number in range(ROUNDS):
            round_ = round_of(*miners, number=number)
            answers = [answer_of(name, twice=3 if cheats(number) else 2) for name, cheats in miners.items()]
            records = {name: entry.record for name, entry in book.entries.items()}
            audited = {id(one) for one in draw_audits(round_, answers, rate, records)}
            book.record([_result(answer, id(answer) in audited, caught) for answer in answers])
            for name, average in book.averages.items():
                total[name] += average
        return total

    return play


def _result(answer: Answer, audited: bool, caught: bool) -> Result:
    assert isinstance(answer.outcome, Answered)
    right = answer.reply.twice == 2
    verdict = Verdict(float(right), "judged", caught=caught and not right) if audited else None
    return Result(answer.task.peer.hotkey, answer.outcome, verdict)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("caught", [True, False], ids=["provable", "merely failing"])
def test_always_cheating_earns_nothing_at_any_rate(pay, rate, caught) -> None:
    total = pay(rate, caught, honest=never, cheat=always)
    assert total["cheat"] <= total["honest"] / 50
    assert total["honest"] > ROUNDS / 3, "honest work is not starved by rare audits"


@pytest.mark.parametrize("rate", RATES)
def test_a_good_record_is_not_worth_betraying(pay, rate) -> None:
    total = pay(rate, True, honest=never, sleeper=sleeper)
    assert total["sleeper"] < 0.75 * total["honest"], "200 of 300 rounds lie after the betrayal"


@pytest.mark.parametrize("rate", RATES)
def test_cheating_now_and_then_costs_more_than_it_saves(pay, rate) -> None:
    total = pay(rate, True, honest=never, **{f"sometimes-{number}": every_tenth for number in range(16)})
    mean = sum(earned for name, earned in total.items() if name != "honest") / 16
    assert mean < 0.8 * total["honest"], "a tenth of the work was saved"


def test_more_audits_never_help_a_cheat(pay) -> None:
    shares = []
    for rate in (0.05, 1.0):
        total = pay(rate, True, honest=never, sleeper=sleeper)
        shares.append(total["sleeper"] / total["honest"])
    assert shares[1] < shares[0]
