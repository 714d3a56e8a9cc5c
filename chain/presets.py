"""Genesis files for local networks: settings that fit fast blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ranvier.chain.genesis import Genesis, GenesisSubnet
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.models import RAO
from ranvier.chain.network import NetworkParameters


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
        "difficulty": 10_000,
        "min_difficulty": 1_000,
        "burn_half_life": tempo,
    }
    return Hyperparameters(**{**fast, **changes})


def local_network(**changes: Any) -> NetworkParameters:
    """Settings of the whole chain for one machine: nothing waits for days, little TAO is needed.

    `changes` override any of it by name.
    """
    fast: dict[str, Any] = {
        "min_take": 0,
        "take_interval": 100,
        "delegate_interval": 0,
        "stake_interval": 0,
        "children_interval": 0,
        "children_delay": 20,
        "subnet_limit": 32,
        "subnet_immunity": 1000,
        "subnet_interval": 0,
        "lock_minimum": 100 * RAO,
        "lock_interval": 2000,
        "root_tempo": 20,
        "root_weights_interval": 0,
        "motion_life": 1000,
    }
    return NetworkParameters(**{**fast, **changes})


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
        network=local_network(),
        new_subnet=local_hyperparameters(),
        balances=dict(balances or {}),
        subnets=tuple(subnets),
    )
