"""The declared fall-back for engines that cannot take a seed: reported log-probabilities beside the verifier's own.

It tells other weights from the declared ones, and nothing about how tokens were chosen: any text passes whose
log-probabilities were taken from one true prefill. So it is worth less than a seeded answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ranvier.subnets.verification.calibration import Calibration

PAID: Final = 0.5
"""Of what the same answer under a seed would earn."""
ROOM: Final = 1e-3
"""A logprob above this is none."""
SLACK: Final = 1.5
"""How much further away than the furthest counted honest answer an answer may be."""


def distance(reported: Sequence[float], own: Sequence[float]) -> float:
    """Mean difference in nats of as many log-probabilities."""
    return sum(abs(theirs - ours) for theirs, ours in zip(reported, own, strict=True)) / len(own)


@dataclass(frozen=True, slots=True)
class LogprobCheck:
    """``distance``: mean difference in nats beyond which an answer is of another model; from honest-honest runs.

    ``surprise``: nats a token that the verifier holds nearly impossible, and share of those that an honest answer has.
    """

    distance: float
    least_logprob: float = -9.0
    rare: float = 0.05

    @classmethod
    def of(cls, calibration: Calibration) -> LogprobCheck:
        """By what was counted of honest answers; raises ValueError where no log-probabilities were counted."""
        spreads = [calibration.logprobs[way] for way in calibration.honest if way in calibration.logprobs]
        if not spreads:
            raise ValueError(
                f"the calibration of {calibration.model} has no log-probabilities of honest answers"
            )
        return cls(SLACK * max(one.most for one in spreads))

    def worth(self, reported: Sequence[float], own: Sequence[float]) -> tuple[float, str]:
        """From 0 to `PAID`, and why. Never raises for what a miner reports."""
        if len(reported) != len(own) or not own:
            return 0.0, "not one log-probability for each token"
        if not all(math.isfinite(value) and value <= ROOM for value in reported):
            return 0.0, "a log-probability that is none"
        away = distance(reported, own)
        if away > self.distance:
            return 0.0, f"log-probabilities {away:.3f} nats away, at most {self.distance:.3f}"
        unlikely = sum(value < self.least_logprob for value in own) / len(own)
        if unlikely > self.rare:
            return 0.0, f"{unlikely:.0%} of the tokens are next to impossible for the model"
        return PAID, f"log-probabilities {away:.3f} nats away"
