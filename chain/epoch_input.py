"""What one epoch reads: a snapshot of a subnet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ranvier.chain.errors import MalformedEpoch
from ranvier.chain.sparse import SparseRows

_UID_LIMIT = 1 << 16


@dataclass(frozen=True)
class YumaParams:
    """Hyperparameters that an epoch reads.

    `kappa`, `bonds_penalty`, `alpha_low` and `alpha_high` are u16 ratios, `bonds_moving_average` is in millionths,
    `activity_cutoff` and `tempo` in blocks, `stake_threshold` in rao, `alpha_sigmoid_steepness` in hundredths.
    `bonds_penalty`, `tempo`, `owner_uid` and `stake_threshold` are read by the 2026 rules ("y2", "y3") only;
    `liquid_alpha` and its values by "2024" and "y3", where they take the place of `bonds_moving_average`, and the
    steepness by "y3".
    """

    kappa: int = 32767
    activity_cutoff: int = 5000
    max_allowed_validators: int = 128
    bonds_moving_average: int = 900_000
    bonds_penalty: int = 65535
    tempo: int = 360
    owner_uid: int | None = None
    stake_threshold: int = 0
    liquid_alpha: bool = False
    alpha_low: int = 45875
    alpha_high: int = 58982
    alpha_sigmoid_steepness: int = 1000

    def __post_init__(self) -> None:
        if not (0 <= self.kappa <= 65535 and 0 <= self.bonds_penalty <= 65535):
            raise MalformedEpoch(
                f"kappa {self.kappa} and bonds_penalty {self.bonds_penalty} are u16 ratios: use 0..65535"
            )
        if not 0 <= self.bonds_moving_average <= 1_000_000:
            raise MalformedEpoch(
                f"bonds_moving_average {self.bonds_moving_average} is in millionths: use 0..1000000"
            )
        if not 0 <= self.alpha_low <= self.alpha_high <= 65535:
            raise MalformedEpoch(
                f"alpha_low {self.alpha_low} and alpha_high {self.alpha_high} are u16 ratios: "
                "use 0..65535 and a low one that is not above the high one"
            )
        if not 0 <= self.alpha_sigmoid_steepness <= 32767:
            raise MalformedEpoch(
                f"alpha_sigmoid_steepness {self.alpha_sigmoid_steepness} is in hundredths: use 0..32767"
            )


@dataclass(frozen=True, eq=False)
class EpochInput:
    """Inputs of `ranvier.chain.yuma.epoch`; sequences hold one entry per uid.

    `variant` names the rules ("2024", "y2", or "y3" for Yuma 3). `last_update` and `registered_at` are block
    numbers, `stake` is rao, `permits` are those of the previous epoch, `emission` is the rao to hand out (the
    owner's cut already taken), `last_step` the block of the last epoch, 0 before the first. `commits` is the block of
    the earliest live commitment of weights by uid, for those who have one (read by the 2026 rules; leave it empty where
    commit-reveal is off). Raises `MalformedEpoch` when the parts disagree.
    """

    variant: str
    block: int
    last_update: Sequence[int]
    registered_at: Sequence[int]
    stake: Sequence[int]
    permits: Sequence[bool]
    weights: SparseRows
    bonds: SparseRows
    emission: int
    params: YumaParams = YumaParams()
    last_step: int = 0
    commits: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(self.last_update), len(self.registered_at), len(self.stake), len(self.permits)}
        if lengths != {self.size} or not 0 < self.size < _UID_LIMIT:
            raise MalformedEpoch(f"per-uid inputs need one common length of 1..65535; got {sorted(lengths)}")
        if self.emission < 0 or min(self.stake) < 0:
            raise MalformedEpoch("stake and emission are rao and never negative; check the ledger")
        for name, matrix in (("weights", self.weights), ("bonds", self.bonds)):
            named = np.concatenate((matrix.rows, matrix.cols))
            if len(named) and not (named.min() >= 0 and named.max() < self.size):
                raise MalformedEpoch(
                    f"{name} name uids {named.min()}..{named.max()} of a subnet with {self.size} neurons"
                )
        if self.commits and not (min(self.commits) >= 0 and max(self.commits) < self.size):
            raise MalformedEpoch(
                f"commits name uids {min(self.commits)}..{max(self.commits)} of a subnet with {self.size} neurons"
            )

    @property
    def size(self) -> int:
        """Number of neurons n; uids are 0..n-1."""
        return len(self.stake)

    @cached_property
    def updates(self) -> npt.NDArray[np.int64]:
        """`last_update` as an array."""
        return np.array(self.last_update, dtype=np.int64)

    @cached_property
    def registrations(self) -> npt.NDArray[np.int64]:
        """`registered_at` as an array."""
        return np.array(self.registered_at, dtype=np.int64)

    @cached_property
    def permitted(self) -> npt.NDArray[np.bool_]:
        """`permits` as an array."""
        return np.array(self.permits, dtype=np.bool_)

    @cached_property
    def promises(self) -> npt.NDArray[np.int64]:
        """`commits` as an array; a block beyond all others for who has none."""
        blocks = np.full(self.size, np.iinfo(np.int64).max, dtype=np.int64)
        blocks[list(self.commits)] = list(self.commits.values())
        return blocks

    def effective_stake(self) -> list[int]:
        """Stake with those below the threshold at zero, the owner's always kept (2026 rules)."""
        if self.variant == "2024":
            return list(self.stake)
        return [
            amount if amount >= self.params.stake_threshold or uid == self.params.owner_uid else 0
            for uid, amount in enumerate(self.stake)
        ]
