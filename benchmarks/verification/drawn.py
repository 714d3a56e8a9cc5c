"""Miners drawn from samples of answers, and what becomes of them: judged as the text subnet judges."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ranvier.subnets.audit import Record, audit_rate
from ranvier.subnets.text.sampled import Judged, Sample
from ranvier.subnets.verification import Bounds, Calibration, MinerTests

BOUNDS = Bounds()
MOST = 200
"""Audited answers after which a miner that was not caught counts as one that never is."""


@dataclass(frozen=True, slots=True)
class Caught:
    """After how many audited answers, and tokens of them, there was proof; more than `MOST` where there was none."""

    answers: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Life:
    """Answers of an honest miner: served, verified, judged (with enough evidence), paid; and false proofs."""

    served: int
    verified: int
    judged: int
    paid: int
    pay: float
    """Of 1 for each answer that was judged: suspicion costs its share."""
    proofs: int


def caught(sample: Sample, calibration: Calibration, *, miners: int, seed: int = 0) -> list[Caught]:
    """Miners whose answers are drawn from the sample with replacement."""
    rng = random.Random(seed)
    return [_caught(sample, calibration, rng) for _ in range(miners)]


def _caught(sample: Sample, calibration: Calibration, rng: random.Random) -> Caught:
    tests, tokens = MinerTests(), 0
    for number in range(1, MOST + 1):
        answer = rng.choice(sample.answers)
        tests, tokens = tests.add(answer.seen, calibration, BOUNDS), tokens + answer.tokens
        if tests.standing(BOUNDS) == "caught":
            return Caught(number, tokens)
    return Caught(MOST + 1, tokens)


def lived(answers: list[Judged], calibration: Calibration, base: float, rng: random.Random) -> Life:
    """An honest miner that gives these answers, audited at the rate that its record and its suspicion ask for."""
    tests, record, verified, judged, paid, pay, proofs = MinerTests(), Record(), 0, 0, 0, 0.0, 0
    for answer in answers:
        if rng.random() >= audit_rate(base, record):
            continue
        verified += 1
        tests = tests.add(answer.seen, calibration, BOUNDS)
        standing = tests.standing(BOUNDS)
        if tests.informative >= calibration.least:
            good = standing == "open" and answer.wrong(calibration.tie) is None
            judged, paid, pay = judged + 1, paid + good, pay + good * (1 - tests.suspicion(BOUNDS))
            record = Record(record.passed + 1 if good else 0, proofs > 0, tests.suspicion(BOUNDS))
        if standing == "caught":
            proofs, tests = proofs + 1, tests.again()
    return Life(len(answers), verified, judged, paid, pay, proofs)
