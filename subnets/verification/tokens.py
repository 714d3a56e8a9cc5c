"""What one token of a seeded answer shows: how far it lies behind the seeded choice, how free that was, and which way.

Honest machines differ in the last bits, which swaps neighbours: small margins where many tokens were possible, and as
often for the likelier of the two as for the other. Other weights, seeds and prompts make wide margins, smaller
temperatures likelier tokens. How likely each class is was counted; see `Calibration`.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ranvier.engines import TokenEvidence

MARGINS: Final = (0.03, 0.1, 0.2, 0.4, 1.0, 3.0)
"""Where classes of margins of other tokens than the seeded choice end, in perturbed logits; one more holds the rest."""
WIDTHS: Final = len(MARGINS) + 1
KINDS: Final = 1 + 2 * WIDTHS
"""The seeded choice; others that are less likely than it, by margin; others that are likelier, by margin."""
ENTROPIES: Final = (0.0, 0.5, 1.5, 3.0)
"""Where classes of entropies begin, in nats."""
INFORMATIVE: Final = 1
"""From this class of entropies on, the seeded choice is evidence *for* a miner, too."""
Counts = tuple[tuple[int, ...], ...]
"""Tokens by class of entropy, then by kind."""


class Seen(NamedTuple):
    """A token of an answer: margin (0 only where it is the seeded choice), entropy and lean as in `TokenEvidence`."""

    margin: float
    entropy: float
    lean: float


class Place(NamedTuple):
    """The class of a token."""

    entropy: int
    kind: int

    @property
    def informative(self) -> bool:
        """Whether the token could well have been another."""
        return self.entropy >= INFORMATIVE


def seen(evidence: TokenEvidence, token_ids: Sequence[int]) -> list[Seen]:
    """What each token shows, in order."""
    rows = zip(token_ids, evidence.expected, evidence.margin, evidence.entropy, evidence.lean, strict=True)
    return [
        Seen(0.0 if token == expected else max(margin, math.ulp(0.0)), entropy, lean)
        for token, expected, margin, entropy, lean in rows
    ]


def place(shown: Seen) -> Place:
    """The class of a token."""
    kind = 0
    if shown.margin > 0:
        kind = 1 + bisect_left(MARGINS, shown.margin) + WIDTHS * (shown.lean > 0)
    return Place(max(0, bisect_right(ENTROPIES, shown.entropy) - 1), kind)


def counted(places: Iterable[Place]) -> Counts:
    """How often each class was seen."""
    table = [[0] * KINDS for _ in ENTROPIES]
    for entropy, kind in places:
        table[entropy][kind] += 1
    return tuple(tuple(row) for row in table)
