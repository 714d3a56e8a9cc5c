"""Which settings a subnet's owner may change, and how far; all others only the chain's root."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_U16: Final = (0, 65535)
_U64: Final = (0, 2**64 - 1)
Limits = Mapping[str, tuple[int, int]]
"""Lowest and highest value by name."""

_OF_2024: Final[Limits] = MappingProxyType(
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
_OF_2026: Final[Limits] = MappingProxyType(
    {
        "activity_cutoff_factor": (1000, 50_000),
        "alpha_high": _U16,
        "alpha_low": _U16,
        "alpha_sigmoid_steepness": (0, 32767),
        "bonds_moving_average": (0, 975_000),
        "bonds_penalty": _U16,
        "bonds_reset": (0, 1),
        "burn_half_life": (1, 36_100),
        "burn_increase_percent": (100, 300),
        "commit_reveal": (0, 1),
        "immune_owner_uids_limit": (1, 10),
        "immunity_period": (0, 65535),
        "liquid_alpha": (0, 1),
        "max_allowed_uids": (64, 256),
        "max_burn": (100_000_001, 2**64 - 1),
        "max_difficulty": _U64,
        "min_allowed_weights": _U16,
        "min_burn": (0, 999_999_999),
        "reveal_period": (1, 100),
        "serving_rate_limit": (0, 2**32),
        "tempo": (360, 50_400),
        "weights_version_key": _U64,
        "work_allowed": (0, 1),
        "yuma3": (0, 1),
    }
)
_NAMES_2026: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "activity_cutoff_factor": ("ActivityCutoffFactorMilliOutOfBounds",) * 2,
        "bonds_moving_average": ("BondsMovingAverageMaxReached",) * 2,
        "burn_half_life": ("InvalidValue",) * 2,
        "burn_increase_percent": ("InvalidValue",) * 2,
        "immune_owner_uids_limit": ("InvalidValue",) * 2,
        "max_allowed_uids": (
            "MaxAllowedUidsLessThanMinAllowedUids",
            "MaxAllowedUidsGreaterThanDefaultMaxAllowedUids",
        ),
        "reveal_period": ("RevealPeriodTooSmall", "RevealPeriodTooLarge"),
        "tempo": ("TempoOutOfBounds",) * 2,
    }
)
"""How the chain calls a value below and one above the limits, where it has a name of its own for it."""
BOUNDS_FIRST: Final = frozenset({"activity_cutoff_factor", "tempo"})
"""2026: their limits are checked before anything that depends on the block."""


def owner_limits(era: str) -> Limits:
    """The settings that an owner may change by the rules of an era."""
    return _OF_2024 if era == "2024" else _OF_2026


def refuse_value(era: str, name: str, value: int) -> str | None:
    """The chain's error name for a value that an owner may not choose; None for one that is fine."""
    low, high = owner_limits(era)[name]
    if low <= value <= high:
        return None
    below, above = (
        ("ValueNotInBounds",) * 2 if era == "2024" else _NAMES_2026.get(name, ("ValueNotInBounds",) * 2)
    )
    return below if value < low else above
