"""Genesis files for local networks: settings that fit fast blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import ValidationError

from ranvier.chain.errors import BadGenesis
from ranvier.chain.genesis import Genesis, GenesisSubnet
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.models import RAO
from ranvier.chain.network import DAY, NetworkParameters, Step


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
        "activity_cutoff_factor": 50_000,
        "min_non_immune_uids": 0,
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
        faucet=1000 * RAO,
        balances=dict(balances or {}),
        subnets=tuple(subnets),
    )


PRESETS: Final = ("local", "2024", "article", "2026")
"""Chains that `preset_genesis` knows."""


def article_network(**changes: Any) -> NetworkParameters:
    """The 2024 rules with the figures that articles of that year give.

    A subnet costs 100 TAO at least and is immune for seven days, delegates take 0 to 18 %, root divides emission,
    and there may be more subnets as the network grows. `changes` override any of it by name.
    """
    figures: dict[str, Any] = {
        "emission": "root",
        "min_take": 0,
        "lock_minimum": 100 * RAO,
        "subnet_limit": 32,
        "subnet_limits": (Step(block=90 * DAY, subnets=45), Step(block=180 * DAY, subnets=64)),
    }
    return NetworkParameters(**{**figures, **changes})


def network_2026(**changes: Any) -> NetworkParameters:
    """The settings of 2026. `changes` override any of it by name."""
    figures: dict[str, Any] = {
        "alpha": True,
        "emission": "price",
        "min_take": 0,
        "stake_interval": 0,
        "min_stake": 2_000_000,
        "subnet_limit": 128,
        "subnet_immunity": 120 * DAY,
        "lock_interval": 8 * DAY,
        "owner_tempos": 2,
        "version_key_tempos": 5,
        "freeze_window": 10,
        "emission_when_closed": False,
        "root_weights_interval": 0,
        "commit_reveal_version": 4,
    }
    return NetworkParameters(**{**figures, **changes})


def preset_genesis(
    preset: str,
    *,
    fair_launch: bool = False,
    committee: Sequence[str] = (),
    **changes: Any,
) -> Genesis:
    """A chain without accounts, by the name of its settings; `changes` override fields of the genesis.

    `fair_launch` opens one subnet that belongs to nobody and gives places for work: nothing is mined before, and there
    is no faucet. Raises `BadGenesis` for an unknown name.
    """
    fields = _preset(preset)
    if fair_launch:
        network = fields["network"].model_copy(update={"equal_start": True})
        first = fields["new_subnet"].model_copy(update={"work_allowed": True})
        subnet = GenesisSubnet(name="first", hyperparameters=first)
        fields |= {"network": network, "subnets": (subnet,), "faucet": 0, "name": f"{preset}-fair"}
    try:
        return Genesis(**{**fields, "committee": tuple(committee), **changes})
    except ValidationError as error:
        first_fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first_fault["loc"])
        raise BadGenesis(f"{where}: {first_fault['msg']}") from error


def _preset(name: str) -> dict[str, Any]:
    if name == "local":
        return {
            "name": name,
            "block_time": 1.0,
            "allow_loopback": True,
            "network": local_network(),
            "new_subnet": local_hyperparameters(),
            "faucet": 1000 * RAO,
        }
    if name == "2024":
        return {"name": name, "network": NetworkParameters(), "new_subnet": Hyperparameters()}
    if name == "article":
        return {"name": name, "network": article_network(), "new_subnet": Hyperparameters()}
    if name == "2026":
        settings = Hyperparameters(min_burn=500_000, commit_reveal=True)
        return {"name": name, "era": "y2", "network": network_2026(), "new_subnet": settings}
    raise BadGenesis(f"there is no preset {name!r}; name one of {', '.join(PRESETS)}")
