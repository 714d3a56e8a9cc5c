"""A plugin loaded by a process of its own: it may print, hang or end that process without harm to the examination."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

from ranvier.neurons.context import subnet_settings
from ranvier.neurons.errors import ConfigError
from ranvier.subnets import SubnetError, load_miner, load_subnet

MARK: Final = "ranvier-doctor-plugin "
"""Begins the line with the result: plugins may print lines of their own."""
CODE: Final = (
    "import json, sys; asked = json.loads(sys.argv[1]); sys.path[:] = asked.pop('path'); "
    "from ranvier.neurons.doctor.trial import main; main(**asked)"
)
"""What the process runs (``python -c``); its argument is JSON: path, subnet, miner, settings."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """What loads: the subnet's name and module, the mining class, and the engine needed (kind "" for none)."""

    subnet: str
    module: str
    miner: str
    kind: str
    features: tuple[str, ...]


def main(subnet: str, miner: str, settings: dict[str, Any]) -> None:
    """Load both and write one line of JSON: a `Plugin`, or ``error``."""
    try:
        found: dict[str, Any] = asdict(_load(subnet, miner, settings))
    except (SubnetError, ConfigError) as error:
        found = {"error": str(error)}
    sys.stdout.write(f"\n{MARK}{json.dumps(found)}\n")


def _load(name: str, code: str, settings: dict[str, Any]) -> Plugin:
    subnet = load_subnet(name)
    subnet_settings(subnet, settings)
    miner = load_miner(code) if code else subnet.miner
    need = subnet.engine
    return Plugin(
        *(subnet.name, subnet.__module__, f"{miner.__module__}.{miner.__qualname__}"),
        kind=need.kind if need else "",
        features=tuple(sorted(need.features)) if need else (),
    )
