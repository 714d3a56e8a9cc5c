"""Genesis files for local networks: settings that fit fast blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ranvier.chain.genesis import Genesis, GenesisSubnet
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.models import RAO


def local_hyperparameters(tempo: int = 20, **changes: Any) -> Hyperparameters:
    """Settings whose waits are counted in epochs of `tempo` blocks instead of hours.

    A newcomer may set weights after a quarter of an epoch, is immune for five, and many may register at once
    for a tenth of a TAO. `changes` override any of it by name.
    """
    fast: dict[str, Any] = {
        "tempo": tempo,
        "weights_rate_limit": tempo // 4,
        "serving_rate_limit": 1,
        "immunity_period": 5 * tempo,
        "activity_cutoff": 50 * tempo,
        "adjustment_interval": tempo,
        "target_regs_per_interval": 16,
        "max_regs_per_block": 16,
        "burn": RAO // 10,
        "burn_half_life": tempo,
    }
    return Hyperparameters(**{**fast, **changes})


def local_genesis(
    subnets: Sequence[GenesisSubnet],
    *,
    name: str = "localnet",
    block_time: float = 1.0,
    clock: Literal["wall", "manual"] = "wall",
    balances: Mapping[str, int] | None = None,
    era: Literal["2024", "y2"] = "2024",
) -> Genesis:
    """A chain for one machine: loopback addresses may be published and staking knows no pause.

    Subnets are built with `local_hyperparameters`; `balances` are rao by coldkey.
    """
    return Genesis(
        name=name,
        era=era,
        block_time=block_time,
        clock=clock,
        allow_loopback=True,
        stake_interval=0,
        balances=dict(balances or {}),
        subnets=tuple(subnets),
    )
