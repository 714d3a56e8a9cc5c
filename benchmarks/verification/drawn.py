"""Miners drawn from a pool of answers, and what becomes of them."""

from __future__ import annotations

import random

from pool import Judged, Pool

from ranvier.subnets.audit import Record, audit_rate
from ranvier.subnets.verification import Bounds, Calibration, SequentialTest

BOUNDS = Bounds()


def caught_within(pool: Pool, calibration: Calibration, *, answers: int, miners: int, seed: int = 0) -> float:
    """Share of miners that the evidence of so many audited answers proves to compute otherwise."""
    rng, weighed = random.Random(seed), _weighed(pool, calibration)
    caught = 0
    for _ in range(miners):
        test = SequentialTest()
        for place in rng.choices(range(len(weighed)), k=answers):
            test = test.add(weighed[place], BOUNDS)
        caught += test.caught
    return caught / miners


def caught_in_tokens(
    pool: Pool, calibration: Calibration, *, tokens: int, miners: int, seed: int = 0
) -> float:
    """The same within so many informative tokens."""
    rng, weighed = random.Random(seed), _weighed(pool, calibration)
    caught = 0
    for _ in range(miners):
        test = SequentialTest()
        while test.seen < tokens and not test.caught:
            test = test.add(rng.choice(weighed), BOUNDS)
        caught += test.caught
    return caught / miners


def accepted(pool: Pool, calibration: Calibration, *, answers: int, seed: int = 0) -> tuple[float, int]:
    """Of so many answers of honest miners (forty each), the share that is paid; and how many proofs were false.

    Answers before there is enough evidence are neither paid nor refused, and not counted.
    """
    rng, weighed = random.Random(seed), _weighed(pool, calibration)
    paid = counted = proofs = 0
    while counted < answers:
        test = SequentialTest()
        for place in rng.choices(range(len(weighed)), k=40):
            test = test.add(weighed[place], BOUNDS)
            proofs += test.caught
            if test.seen < calibration.least:
                continue
            counted += 1
            paid += test.standing(BOUNDS) == "open" and pool.answers[place].fault is None
    return paid / counted, proofs


def faulty(pool: Pool) -> float:
    """Share of answers whose end is not where it must be."""
    return sum(one.fault is not None for one in pool.answers) / len(pool.answers)


def mean_audit_rate(base: float, answers: int) -> float:
    """Of an honest miner's first so many answers, the share that is verified (expected)."""
    passed = verified = 0.0
    for _ in range(answers):
        rate = audit_rate(base, Record(int(passed)))
        passed, verified = passed + rate, verified + rate
    return verified / answers


def _weighed(pool: Pool, calibration: Calibration) -> list[list[float]]:
    return [calibration.weigh(answer.places) for answer in pool.answers]


__all__ = ["Judged", "accepted", "caught_in_tokens", "caught_within", "faulty", "mean_audit_rate"]
