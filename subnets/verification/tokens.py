"""What one token of a seeded answer says: how far it lies behind the seeded choice, and how free the choice was.

Honest machines differ in the last bits, which swaps neighbours: small margins where many tokens were possible. Other
weights, seeds and temperatures make wide margins. How likely each is was counted; see `Calibration`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from pydantic import BaseModel, ConfigDict, model_validator

from ranvier.engines import TokenEvidence

MARGINS: Final = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Upper ends of the classes of margins, in perturbed logits; the first holds the seeded choices, one more the rest."""
ENTROPIES: Final = (0.5, 1.5, 3.0)
"""Lower ends of the classes of entropies, in nats; below the first a token proves nothing."""
MOST: Final = 4.0
"""Nats that a single token may add: no one of them is proof."""
Counts = tuple[tuple[int, ...], ...]
"""Tokens by class of entropy, then by class of margin."""
Place = tuple[int, int]


def places(evidence: TokenEvidence, token_ids: Sequence[int]) -> list[Place]:
    """The class of each token that could have been another, in order."""
    found = []
    rows = zip(token_ids, evidence.expected, evidence.margin, evidence.entropy, strict=True)
    for token, expected, margin, nats in rows:
        if nats >= ENTROPIES[0]:
            gap = 0.0 if token == expected else max(margin, math.ulp(0.0))
            found.append((sum(nats >= least for least in ENTROPIES) - 1, bisect_left(MARGINS, gap)))
    return found


def counted(found: Iterable[Place]) -> Counts:
    """How often each class was seen."""
    table = [[0] * (len(MARGINS) + 1) for _ in ENTROPIES]
    for entropy, margin in found:
        table[entropy][margin] += 1
    return tuple(tuple(row) for row in table)


class Calibration(BaseModel):
    """Counts of honest tokens and of those of the nearest cheats, for one model, dtype, device and engine.

    ``honest`` holds every honest way of computing that is to be accepted, ``nearest`` the cheat that is hardest to
    tell from it (8-bit weights), ``others`` all that differ more. The alternative that is tested is ninety-eight parts
    of the nearest and two of the others, so that wide margins count as what they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    dtype: str
    device: str
    engine: str
    date: str
    versions: dict[str, str]
    ways: dict[str, Counts]
    """What was counted, by name: the evidence."""
    honest: tuple[str, ...]
    nearest: tuple[str, ...]
    others: tuple[str, ...]
    least: int = 64
    """Informative tokens of a miner before any of its answers is paid."""

    @model_validator(mode="after")
    def _complete(self) -> Calibration:
        for name in (*self.honest, *self.nearest, *self.others):
            if name not in self.ways:
                raise ValueError(f"{name} was not counted")
        if not (self.honest and self.nearest and self.others):
            raise ValueError("honest, nearest and others name at least one way each")
        return self

    @property
    def ratios(self) -> tuple[tuple[float, ...], ...]:
        """ln(p(class | cheat) / p(class | honest)), by entropy and margin; never less for a wider margin."""
        honest, nearest, others = (
            [_shares([self.ways[name][row] for name in names]) for row in range(len(ENTROPIES))]
            for names in (self.honest, self.nearest, self.others)
        )
        table = []
        for row in range(len(ENTROPIES)):
            cheat = [0.98 * a + 0.02 * b for a, b in zip(nearest[row], others[row], strict=True)]
            plain = [math.log(c / h) for c, h in zip(cheat, honest[row], strict=True)]
            table.append(tuple(min(MOST, value) for value in accumulate(plain, max)))
        return tuple(table)

    def drift(self, way: str) -> float:
        """What one token of a counted way adds to a miner's test on average: below 0 for who is to be cleared."""
        counts = self.ways[way]
        sums = [
            number * ratio
            for row, ratios in zip(counts, self.ratios, strict=True)
            for number, ratio in zip(row, ratios, strict=True)
        ]
        return sum(sums) / max(1, sum(map(sum, counts)))

    @property
    def confused(self) -> tuple[str, ...]:
        """Ways that these counts would take for their opposite: with any, nobody may be judged by them."""
        cheap = (*self.nearest, *self.others)
        return (
            *(way for way in self.honest if self.drift(way) >= 0),
            *(way for way in cheap if self.drift(way) <= 0),
        )

    def weigh(self, found: Iterable[Place]) -> list[float]:
        """The log-likelihood ratio of each token."""
        table = self.ratios
        return [table[entropy][margin] for entropy, margin in found]


def _shares(rows: Sequence[Sequence[int]]) -> list[float]:
    """Shares of the classes in all rows together; half a token is added to each class, for what was never seen."""
    sums = [sum(column) + 0.5 for column in zip(*rows, strict=True)]
    return [value / sum(sums) for value in sums]
