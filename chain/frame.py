"""What the steps of an epoch hand to each other: the rows that matter, and what their votes agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranvier.chain.fixed import Bits, Flags


@dataclass(frozen=True, eq=False)
class Frame:
    """The laid-out rows: `rows` are their uids, `voice` their share of active stake (I32F32 bits).

    `outdated[i, j]`: row i last set weights no later than uid j was (re)registered. `void[i, j]`: whatever row i
    lists for uid j does not count, for that or another reason (no permit, itself, sniped).
    """

    rows: npt.NDArray[np.int64]
    voice: Bits
    outdated: Flags
    void: Flags


@dataclass(frozen=True, eq=False)
class Agreement:
    """Steps 5 to 8. `weights`, `clipped` and `validator_trust` have a row per laid-out uid, the others one per uid."""

    weights: Bits
    consensus: Bits
    clipped: Bits
    validator_trust: Bits
    trust: Bits
    incentive: Bits
