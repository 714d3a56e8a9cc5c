"""Rule 4 in figures: real audit draws and book, miners that cheat in different ways, for as long as it takes.

Pay is the sum over rounds of the average that weights are made of; work costs a share of an honest miner's pay.
Without penalties an always-cheat would keep 95 % of that pay at 5 % audits (reference figure); here it keeps nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from ranvier.subnets import (
    Answer,
    Record,
    Result,
    ScoreBook,
    SubnetSettings,
    Verdict,
    audit_rate,
    draw_audits,
)
from ranvier.subnets.audit import FLOOR, least_penalty
from ranvier.subnets.verification import Bounds, SequentialTest
from ranvier.subnets.verification.sequential import now_and_then

RATES = [0.01, 0.05, 0.2, 0.5, 1.0]
COSTS = [0.1, 0.5, 0.8]
"""What an honest answer costs, as a share of its pay."""
COPIES = 24
BOUNDS = Bounds()
HONEST_AUDIT, COARSE_AUDIT = (-1.4, 1.2), (1.4, 2.5)
"""Nats (mean, deviation) that an audited answer adds to a test: honest ones, and those of 8-bit weights, or so."""


@dataclass
class Miner:
    """One hotkey's player: what it does next, and what came of it."""

    cheats: Callable[[Miner, random.Random], bool]
    name: str
    saves: float = 1.0
    """The share of the work that a cheated answer saves."""
    subtle: bool = False
    returns: bool = False
    """Whether a caught one leaves and registers anew."""
    paid: float = 0.0
    worked: float = 0.0
    registered: int = 1
    tests: list[SequentialTest] = field(default_factory=lambda: [SequentialTest()] * 2)
    """Of the subtle: against who always cheats, and who does now and then."""
    record: Record = field(default_factory=Record)
    caught: int = 0
    begun: bool = False

    @property
    def hotkey(self) -> str:
        return f"{self.name}/{self.registered}"

    def profit(self, cost: float, price: float = 0.0) -> float:
        return self.paid - cost * self.worked - price * (self.registered - 1)


def never(miner: Miner, rng: random.Random) -> bool:
    return False


def always(miner: Miner, rng: random.Random) -> bool:
    return True


def sleeper(miner: Miner, rng: random.Random) -> bool:
    """Honest until audits are as rare as they get; once caught, honest for good."""
    return miner.record.passed >= 8 / FLOOR and not miner.caught


def hardened(miner: Miner, rng: random.Random) -> bool:
    """The same, without remorse: its penalty is never served, and it never works again."""
    return miner.record.passed >= 8 / FLOOR or miner.caught > 0


def for_good(miner: Miner, rng: random.Random) -> bool:
    """Honest until audits are as rare as they get, and then never again, whatever comes of it."""
    miner.begun = miner.begun or sleeper(miner, rng)
    return miner.begun


def sometimes(share: float) -> Callable[[Miner, random.Random], bool]:
    return lambda miner, rng: rng.random() < share


def circling(miner: Miner, rng: random.Random) -> bool:
    """Honest until audits are rare, then never; the hotkey is given up when it is caught."""
    return miner.record.passed >= 8 / FLOOR


def mean(miners: list[Miner], cost: float, price: float = 0.0) -> float:
    return sum(one.profit(cost, price) for one in miners) / len(miners)


@pytest.fixture
def play(round_of, answer_of):
    def rounds(rate: float, miners: list[Miner], count: int, seed: int = 0) -> None:
        settings = SubnetSettings(audit_rate=rate, penalty_rounds=20, alpha=0.2)
        book, rng = ScoreBook(settings), random.Random(seed)
        for number in range(count):
            for one in miners:
                one.record = book[one.hotkey].record
            cheated = {one.hotkey: one.cheats(one, rng) for one in miners}
            answers = [answer_of(name, twice=3 if wrong else 2) for name, wrong in cheated.items()]
            records = {one.hotkey: one.record for one in miners}
            drawn = {
                one.task.peer.hotkey for one in draw_audits(round_of(number=number), answers, rate, records)
            }
            book.record(
                [
                    _result(number, one, answer, drawn, rng)
                    for one, answer in zip(miners, answers, strict=True)
                ]
            )
            averages = book.averages
            for one in miners:
                one.paid += averages.get(one.hotkey, 0.0)
                one.worked += 1 - one.saves * cheated[one.hotkey]
                entry = book[one.hotkey]
                if one.returns and entry.caught:
                    book.forget(one.hotkey)
                    one.registered += 1
                one.caught = entry.caught

    return rounds


def _result(number: int, miner: Miner, answer: Answer, drawn: set[str], rng: random.Random) -> Result:
    if miner.hotkey not in drawn:
        return Result(miner.hotkey, answer.outcome)
    wrong = answer.reply.twice != 2
    if not miner.subtle:
        return Result(miner.hotkey, answer.outcome, Verdict(float(not wrong), "judged", caught=wrong))
    ratio = rng.gauss(*(COARSE_AUDIT if wrong else HONEST_AUDIT))
    tests = [
        test.add([one], BOUNDS, number)
        for test, one in zip(miner.tests, (ratio, now_and_then(ratio)), strict=True)
    ]
    worst = max(tests, key=lambda test: test.score)
    miner.tests = [test.again() for test in tests] if worst.caught else tests
    good = worst.standing(BOUNDS) == "open"
    verdict = Verdict(
        *(good * (1 - worst.suspicion(BOUNDS)), "judged", worst.caught, {}),
        *(worst.suspicion(BOUNDS), worst.spell(number)),
    )
    return Result(miner.hotkey, answer.outcome, verdict)


def copies(
    cheats: Callable[[Miner, random.Random], bool], count: int = COPIES, **more: object
) -> list[Miner]:
    return [Miner(cheats, f"cheat-{number}", **more) for number in range(count)]  # type: ignore[arg-type]


def length(rate: float) -> int:
    """Rounds: so many that every sleeper was caught, and that being out of business has cost what it saved."""
    return int(120 + 10 / (rate * FLOOR))


@pytest.mark.parametrize("rate", RATES)
def test_always_cheating_is_a_loss_at_any_rate(play, rate) -> None:
    honest, cheats = Miner(never, "honest"), copies(always, 4)
    play(rate, [honest, *cheats], 120)
    assert [one.paid for one in cheats] == [0.0] * 4
    assert honest.paid > 100, "honest work is not starved by rare audits"


CHEATS: Mapping[str, Callable[[Miner, random.Random], bool]] = {
    "sleeper": sleeper,
    "hardened": hardened,
    "a tenth": sometimes(0.1),
    "half": sometimes(0.5),
}


@pytest.mark.parametrize("cheats", CHEATS)
@pytest.mark.parametrize("rate", [*RATES[1:], pytest.param(RATES[0], marks=pytest.mark.slow)])
def test_no_way_of_cheating_now_and_then_pays(play, rate, cheats) -> None:
    """Whatever work costs; the penalty outlasts what is earned before the catch.

    At one audit in a hundred, and where work costs four fifths of its pay, who stops working for good breaks even for
    some two thousand rounds: there it is twice as many that count.
    """
    honest, players = Miner(never, "honest"), copies(CHEATS[cheats])
    play(rate, [honest, *players], length(rate) * (2 if rate == RATES[0] else 1))
    assert any(one.caught for one in players)
    for cost in COSTS:
        assert mean(players, cost) < honest.profit(cost), cost


COARSE: Mapping[str, Callable[[Miner, random.Random], bool]] = {
    "for good": for_good,
    "until doubted": hardened,
    "half": sometimes(0.5),
    "a quarter": sometimes(0.25),
    "a tenth": sometimes(0.1),
}


@pytest.mark.parametrize("cheats", COARSE)
@pytest.mark.parametrize("rate", [0.05, 0.2, 1.0])
def test_coarser_weights_do_not_pay_though_they_take_many_audits(play, rate, cheats) -> None:
    """They save 40 % of the work. Suspicion costs its share of the pay, and the penalty is as long as proof took."""
    honest, players = Miner(never, "honest", subtle=True), copies(COARSE[cheats], 6, saves=0.4, subtle=True)
    play(rate, [honest, *players], 2 * length(rate) + 200)
    assert not honest.caught
    assert cheats not in ("for good", "half") or all(one.caught for one in players)
    for cost in (0.1, 0.5):
        assert mean(players, cost) < honest.profit(cost), cost


@pytest.mark.parametrize("rate", RATES[1:])
def test_new_hotkeys_do_not_pay_at_a_price_of_as_many_rounds_as_the_penalty(play, rate) -> None:
    """Who leaves when caught pays the registration instead of the penalty: it must cost as much."""
    honest, players = Miner(never, "honest"), copies(circling, returns=True)
    play(rate, [honest, *players], length(rate))
    assert any(one.registered > 1 for one in players)
    for cost in COSTS:
        assert mean(players, cost, price=least_penalty(rate)) < honest.profit(cost), cost


def test_at_the_default_rate_new_hotkeys_do_not_pay_even_for_nothing(play) -> None:
    """Trial and climb of the average cost more than what is cheated in between, if work is half of the pay."""
    honest, players = Miner(never, "honest"), copies(circling, returns=True)
    play(0.2, [honest, *players], 400)
    assert mean(players, cost=0.5) < honest.profit(0.5)


def test_without_the_longer_penalty_rare_audits_would_pay_sleepers() -> None:
    """The reason for `least_penalty`: at one audit in a hundred, twenty rounds are less than what was saved."""
    rate = audit_rate(0.01, Record(10_000))
    saved = 0.5 / rate
    assert saved > 20
    assert least_penalty(0.01) > saved


def test_more_audits_never_help_a_cheat(play) -> None:
    shares = []
    for rate in (0.05, 1.0):
        honest, players = Miner(never, "honest"), copies(hardened)
        play(rate, [honest, *players], 300)
        shares.append(mean(players, 0.5) / honest.profit(0.5))
    assert shares[1] < shares[0]
