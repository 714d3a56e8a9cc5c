"""Finding subnets and miners: by the name of an entry point, or by ``package.module:Class``."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from ranvier.subnets.errors import BrokenPlugin, UnknownSubnet
from ranvier.subnets.subnet import Miner, Subnet

SUBNETS: Final = "ranvier.subnets"
MINERS: Final = "ranvier.miners"


def names(group: str = SUBNETS) -> tuple[str, ...]:
    """The names of all installed plugins of a group, sorted; nothing is imported."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def load_subnet(name: str) -> type[Subnet[Any]]:
    """The subnet class; raises `UnknownSubnet` or `BrokenPlugin`. Other plugins are not imported."""
    found: type[Subnet[Any]] = _checked(name, _load(name, SUBNETS, "subnet"), Subnet)
    return found


def load_miner(name: str) -> type[Miner[Any]]:
    """The miner class; raises `UnknownSubnet` or `BrokenPlugin`."""
    found: type[Miner[Any]] = _checked(name, _load(name, MINERS, "miner"), Miner)
    return found


def _load(name: str, group: str, kind: str) -> Any:
    if ":" in name:
        module, _, attribute = name.partition(":")
        return _import(EntryPoint(name, f"{module}:{attribute}", group))
    for point in entry_points(group=group):
        if point.name == name:
            return _import(point)
    raise UnknownSubnet(name, names(group), kind)


def _import(point: EntryPoint) -> Any:
    try:
        found: Any = importlib.import_module(point.module)
        for part in point.attr.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise BrokenPlugin(point.value, f"{type(error).__name__}: {error}") from error
    return found


def _checked(name: str, found: Any, base: type) -> Any:
    if not (isinstance(found, type) and issubclass(found, base)):
        raise BrokenPlugin(name, f"it is no subclass of ranvier.subnets.{base.__name__}")
    return found
