"""Spot checks of a computation in steps: which links of its chain are made again, and what that is worth.

A chain is the seeded noise, the latents after each of N steps, and the picture. Link j leads from the latents before
step j to those after it. A cheat chooses links that are wrong:

- it *splices* at link j a chain that it has already: one wrong link, and the work of steps j to N - 1 is saved;
- it *skips* steps: one wrong link for each step that is saved.

Links are therefore drawn in proportion to what a splice there would save, N - j. With ``checks`` draws, whatever the
cheat does, the chance that it meets a wrong link is at least ``checks * 2 / (N + 1)`` of the share of work that was
saved (up to its square): so a penalty can make any cheat a loss, and `least_penalty` says which.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable


def shares(steps: int) -> tuple[float, ...]:
    """The chance of each link in one draw."""
    whole = steps * (steps + 1) / 2
    return tuple((steps - number) / whole for number in range(steps))


def draw_links(rng: random.Random, steps: int, checks: int) -> tuple[int, ...]:
    """Different links in ascending order, ``checks`` of them or all. Raises ValueError for less than one check."""
    if checks < 1:
        raise ValueError("at least one link has to be checked")
    left, weights = list(range(steps)), list(shares(steps))
    found: list[int] = []
    while left and len(found) < checks:
        (place,) = rng.choices(range(len(left)), weights)
        found.append(left.pop(place))
        weights.pop(place)
    return tuple(sorted(found))


def chance(steps: int, checks: int, wrong: Iterable[int]) -> float:
    """At least so likely is one of the ``wrong`` links met."""
    each = shares(steps)
    return 1 - (1 - sum(each[number] for number in set(wrong))) ** checks


def least_penalty(steps: int, checks: int, *, audit_rate: float, cost: float) -> int:
    """Rounds without pay for a catch, from which on no cheat pays.

    ``cost`` is an honest answer's share of its pay, below 1. A cheat that saves the share s of the work gains
    s * cost a round, and is caught with a chance of at least audit_rate * 2 * s / (N + 1) for one draw; a catch costs
    what an honest miner keeps in that time, (1 - cost) a round.
    """
    if not (0 < audit_rate <= 1 and 0 <= cost < 1):
        raise ValueError("the audit rate lies within (0, 1], the cost within [0, 1)")
    met = min(
        chance(steps, checks, wrong) / saved
        for number in range(steps)
        for wrong, saved in (
            ((number,), (steps - number) / steps),
            (tuple(range(number, steps)), (steps - number) / steps),
        )
    )
    return math.ceil(cost / ((1 - cost) * audit_rate * met)) if cost else 0
