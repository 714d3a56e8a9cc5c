"""Which settings a subnet's owner may change, and how far; all others only the chain's root."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_U16: Final = (0, 65535)
_U64: Final = (0, 2**64 - 1)

OWNER_LIMITS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "activity_cutoff": (360, 65535),
        "adjustment_alpha": _U64,
        "alpha_high": _U16,
        "alpha_low": _U16,
        "alpha_sigmoid_steepness": (0, 1000),
        "bonds_moving_average": (0, 975_000),
        "bonds_penalty": _U16,
        "commit_reveal": (0, 1),
        "immunity_period": (0, 65535),
        "kappa": _U16,
        "liquid_alpha": (0, 1),
        "max_burn": _U64,
        "max_difficulty": _U64,
        "max_weight_limit": _U16,
        "min_allowed_weights": _U16,
        "min_burn": _U64,
        "min_difficulty": _U64,
        "registration_allowed": (0, 1),
        "reveal_period": (1, 100),
        "serving_rate_limit": (0, 2**32),
        "weights_rate_limit": (0, 2**32),
        "weights_version_key": _U64,
        "work_allowed": (0, 1),
        "yuma3": (0, 1),
    }
)
"""Lowest and highest value by name."""
