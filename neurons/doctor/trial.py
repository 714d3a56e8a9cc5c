"""A plugin loaded by a process of its own: it may print, hang or end that process without harm to the examination."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

from ranvier.engines.client import EngineClient
from ranvier.engines.errors import EngineError
from ranvier.neurons.context import require_ready, subnet_settings
from ranvier.neurons.errors import ConfigError
from ranvier.subnets import SubnetError, load_miner, load_subnet

MARK: Final = "ranvier-doctor-plugin "
"""Begins the line with the result: plugins may print lines of their own."""
CODE: Final = (
    "import json, sys; asked = json.loads(sys.argv[1]); sys.path[:] = asked.pop('path'); "
    "from ranvier.neurons.doctor import trial; getattr(trial, asked.pop('call'))(**asked)"
)
"""What the process runs (``python -c``); its argument is JSON: path, call (`load` or `judge`), and what that takes."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """What loads: the subnet's name and module, the mining class, and the engine needed (kind "" for none)."""

    subnet: str
    module: str
    miner: str
    kind: str
    features: tuple[str, ...]


def load(subnet: str, miner: str, settings: dict[str, Any]) -> None:
    """Load both and write one line of JSON: a `Plugin`, or ``error``."""
    try:
        found: dict[str, Any] = asdict(_load(subnet, miner, settings))
    except (SubnetError, ConfigError) as error:
        found = {"error": str(error)}
    _say(found)


def judge(subnet: str, settings: dict[str, Any], netuid: int, endpoint: str) -> None:
    """Whether a validator could judge with that engine; writes one line of JSON, with an ``error`` where not."""
    try:
        asyncio.run(_judge(subnet, settings, netuid, endpoint))
    except (SubnetError, ConfigError, EngineError) as error:
        _say({"error": str(error)})
    else:
        _say({})


async def _judge(name: str, settings: dict[str, Any], netuid: int, endpoint: str) -> None:
    subnet = load_subnet(name)
    async with EngineClient(endpoint) as engine:
        await require_ready(subnet, subnet_settings(subnet, settings), netuid, "", engine)


def _say(found: dict[str, Any]) -> None:
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
