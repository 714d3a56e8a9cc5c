"""What miners and validators derive from their settings in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ranvier.engines.client import EngineClient
from ranvier.engines.errors import EngineUnfit
from ranvier.neurons.config.networks import Network
from ranvier.neurons.errors import ConfigError, unknown_key
from ranvier.protocol import AddressPolicy
from ranvier.subnets import Context, Subnet, SubnetSettings


def subnet_settings(subnet: type[Subnet[Any]], given: Mapping[str, Any]) -> SubnetSettings:
    """The subnet's own settings; raises `ConfigError`."""
    try:
        return subnet.Settings.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f"[settings] of subnet {subnet.name}"
        if first["type"] == "extra_forbidden":
            raise unknown_key(where, place, subnet.Settings.model_fields) from error
        raise ConfigError(where, f"{place}: {first['msg']} (got {first['input']!r})") from error


def address_policy(choice: str, network: Network) -> AddressPolicy:
    """Whom a dendrite may call."""
    if choice == "private" or (choice == "auto" and network.on_this_machine):
        return AddressPolicy.local()
    return AddressPolicy.public()


async def require_engine(
    subnet: type[Subnet[Any]], engine: EngineClient | None, model: str | None = None
) -> None:
    """Refuse to start where the engine lacks what the subnet needs; raises `EngineError` with the reason."""
    need = subnet.engine
    if need is None:
        return
    if engine is None:
        raise EngineUnfit(
            "(none)",
            f"subnet {subnet.name} needs a {need.kind} engine; name one with --engine (`ranvier engine` starts it)",
        )
    await engine.require(need.kind, need.features, model)


async def require_ready(
    subnet: type[Subnet[Any]], settings: SubnetSettings, netuid: int, hotkey: str, engine: EngineClient | None
) -> None:
    """Refuse to start a validator that could not judge; raises `EngineError` with the reason."""
    await subnet(Context(netuid, hotkey, settings, engine)).ready()
