"""Settings: defaults < TOML < environment (``RANVIER_...``) < flags; an unknown key is an error."""

from __future__ import annotations

from ranvier.neurons.config.load import load_nodes, load_one
from ranvier.neurons.config.models import (
    ChainSettings,
    DoorSettings,
    EngineSettings,
    MinerSettings,
    NodeSettings,
    ValidatorSettings,
)
from ranvier.neurons.config.networks import Network, resolve

__all__ = [
    "ChainSettings",
    "DoorSettings",
    "EngineSettings",
    "MinerSettings",
    "Network",
    "NodeSettings",
    "ValidatorSettings",
    "load_nodes",
    "load_one",
    "resolve",
]
