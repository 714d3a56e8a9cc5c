"""A network split into an honest part and a cabal, as the published guarantee of Yuma describes it.

512 nodes, of them 64 validators; stakes are drawn from N(1, .3) and weights from N(1, deviation), cut at 0 and
normalised for each part of the network (stakes) and each validator's part of the miners (weights). Numbers are
drawn in the order of Subtensor's own test, by its generator: seed 0 is the network that was published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from stdrng import Normals

from ranvier.chain.epoch_input import EpochInput, YumaParams
from ranvier.chain.fixed import U16_MAX
from ranvier.chain.sparse import SparseRows
from ranvier.chain.yuma import epoch

NODES: Final = 512
VALIDATORS: Final = 64
MINERS: Final = NODES - VALIDATORS
EMISSION: Final = 10**9

CASES: Final = (
    (0.51, 1.0, 1.0, 0.001),
    (0.51, 0.03, 0.0, 0.001),
    (0.51, 0.51, 0.49, 0.001),
    (0.51, 0.51, 1.0, 0.001),
    (0.51, 0.61, 0.8, 0.1),
    (0.6, 0.67, 0.65, 0.2),
    (0.6, 0.74, 0.77, 0.4),
    (0.6, 0.76, 0.8, 0.4),
    (0.6, 0.76, 1.0, 0.4),
    (0.6, 0.92, 1.0, 0.4),
    (0.6, 0.94, 1.0, 0.4),
    (0.65, 0.78, 0.85, 0.6),
    (0.7, 0.81, 0.85, 0.8),
    (0.7, 0.83, 0.85, 1.0),
)
"""(honest stake, honest weight on honest miners, cabal's weight on its own, deviation) that Subtensor's tests assert:
the honest part keeps at least its share of stake in the emission."""


@dataclass(frozen=True)
class Setting:
    """What a published curve was drawn for. `beta` is the bonds penalty, `xi` the validators' part of emission."""

    deviation: float = 0.4
    kappa: float = 0.5
    beta: float = 1.0
    xi: float = 0.5


class Split:
    """One draw of such a network with `honest` of its stake, validators and miners."""

    def __init__(self, honest: float, setting: Setting, seed: int) -> None:
        self._setting, self._honest = setting, honest
        self._voters, self._miners = int(honest * VALIDATORS), int(honest * MINERS)
        normals = Normals(seed, VALIDATORS + VALIDATORS * MINERS)

        def parts(count: int, deviation: float) -> list[float]:
            drawn = np.clip(1 + deviation * normals.take(count), 0, None)
            normalised: list[float] = (drawn / drawn.sum()).tolist()
            return normalised

        ours = [honest * part for part in parts(self._voters, 0.3)]
        theirs = [(1 - honest) * part for part in parts(VALIDATORS - self._voters, 0.3)]
        self._stake = [*(int(part * 21e15) for part in ours + theirs), *([0] * MINERS)]
        sides = (self._miners, MINERS - self._miners)
        self._weights = np.array(
            [[part for side in sides for part in parts(side, setting.deviation)] for _ in range(VALIDATORS)]
        )

    def share(self, honest_weight: float, cabal_weight: float) -> float:
        """The honest part's share of the emission after one epoch.

        `honest_weight` is what honest validators give to honest miners, `cabal_weight` what the cabal gives to its
        own, of 1.
        """
        result = epoch(self._epoch(honest_weight, cabal_weight))
        ours = slice(0, self._voters), slice(VALIDATORS, VALIDATORS + self._miners)
        kept, paid = 0.0, 0.0
        parts = (
            (result.validator_emission, self._setting.xi),
            (result.server_emission, 1 - self._setting.xi),
        )
        for amounts, part in parts:
            kept += part * sum(sum(amounts[side]) for side in ours)
            paid += part * sum(amounts)
        return kept / paid

    def _epoch(self, honest_weight: float, cabal_weight: float) -> EpochInput:
        to_honest = np.where(np.arange(VALIDATORS) < self._voters, honest_weight, 1 - cabal_weight)[:, None]
        scaled = np.where(np.arange(MINERS) < self._miners, to_honest, 1 - to_honest) * self._weights
        stored = np.zeros((VALIDATORS, NODES), dtype=np.uint16)
        stored[:, VALIDATORS:] = np.round(scaled / scaled.max(axis=1, keepdims=True) * U16_MAX)
        return EpochInput(
            variant="y2",
            block=2,
            last_update=[1] * NODES,
            registered_at=[0] * NODES,
            stake=self._stake,
            permits=[True] * VALIDATORS + [False] * MINERS,
            weights=SparseRows.from_dense(np.arange(VALIDATORS), stored),
            bonds=SparseRows.empty(),
            emission=EMISSION,
            params=YumaParams(
                kappa=int(self._setting.kappa * U16_MAX),
                bonds_penalty=round(self._setting.beta * U16_MAX),
                max_allowed_validators=VALIDATORS,
            ),
        )


def needed(split: Split, honest: float, cabal_weight: float, steps: int = 11) -> float:
    """The least honest weight with which the honest part keeps its share of stake, by bisection; 1 if none does."""
    low, high = 0.0, 1.0
    if split.share(high, cabal_weight) < honest:
        return 1.0
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (low, middle) if split.share(middle, cabal_weight) >= honest else (middle, high)
    return (low + high) / 2
