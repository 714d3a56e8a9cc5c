"""Wald's sequential test, one for each miner: evidence adds up until it is proof, or clears the miner for now."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

Standing = Literal["open", "doubtful", "caught"]
SHARE: Final = 0.25
"""Of the answers of one who cheats now and then."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How often a test may err: ``alpha`` against an honest miner, ``beta`` for a cheat.

    A miner who was cleared begins a new test (Page's scheme), so that no record, however long, is credit for later.
    With a hundred tokens or more in a test, one honest token in a hundred million ends in a false proof.
    """

    alpha: float = 1e-6
    beta: float = 0.01
    doubt: float = 0.75
    """From this share of the way to proof on, answers are worth nothing."""

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5 and 0 < self.doubt < 1):
            raise ValueError("alpha and beta lie between 0 and 1/2, doubt between 0 and 1")

    @property
    def proof(self) -> float:
        """The sum of log-likelihood ratios that proves another computation: ln((1 - beta) / alpha)."""
        return math.log((1 - self.beta) / self.alpha)

    @property
    def cleared(self) -> float:
        """The sum that ends a test for the miner: ln(beta / (1 - alpha))."""
        return math.log(self.beta / (1 - self.alpha))


def now_and_then(ratio: float, share: float = SHARE) -> float:
    """An answer's ratio where only a ``share`` of the answers is cheated; ``ratio`` is that where all are."""
    top = max(ratio, 0.0)
    return top + math.log((1 - share) * math.exp(-top) + share * math.exp(ratio - top))


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """A miner's test. ``score`` is a sum of log-likelihood ratios (cheat over honest), in nats."""

    score: float = 0.0
    seen: int = 0
    """Observations so far, those of tests that have ended included."""
    passed: int = 0
    """Tests that ended for the miner."""
    caught: bool = False
    began: int | None = None
    """The round of the first observation of the present test; None before it."""

    @classmethod
    def read(cls, stored: Any) -> SequentialTest:
        """From a validator's memory."""
        if stored is None:
            return cls()
        score, seen, passed, caught, began = stored
        return cls(float(score), int(seen), int(passed), bool(caught), began)

    def stored(self) -> list[Any]:
        """For a validator's memory."""
        return [self.score, self.seen, self.passed, self.caught, self.began]

    def add(self, ratios: Iterable[float], bounds: Bounds, number: int = 0) -> SequentialTest:
        """With more observations of round ``number``; each is ln(p(observation | cheat) / p(observation | honest))."""
        score, seen, passed, caught, began = self.score, self.seen, self.passed, self.caught, self.began
        for ratio in ratios:
            score, seen = score + ratio, seen + 1
            began = number if began is None else began
            if score >= bounds.proof:
                caught = True
            if score <= bounds.cleared:
                score, passed, began = 0.0, passed + 1, None
        return SequentialTest(min(score, bounds.proof), seen, passed, caught, began)

    def again(self) -> SequentialTest:
        """After a conviction was acted upon: a new test, from the start."""
        return replace(self, score=0.0, caught=False, began=None)

    def spell(self, number: int) -> int:
        """Rounds that the present test has lasted in round ``number``, which is part of it."""
        return 0 if self.began is None else max(0, number - self.began) + 1

    def suspicion(self, bounds: Bounds) -> float:
        """How far on the way to proof, from 0 to 1: the share of further audits that it asks for."""
        return min(1.0, max(0.0, self.score / bounds.proof))

    def standing(self, bounds: Bounds) -> Standing:
        """What the evidence says now."""
        if self.caught:
            return "caught"
        return "doubtful" if self.score > bounds.doubt * bounds.proof else "open"
