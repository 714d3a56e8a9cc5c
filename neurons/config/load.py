"""Putting settings together: defaults < TOML < environment < flags."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ranvier.neurons.config.models import NodeSettings, Settings
from ranvier.neurons.errors import ConfigError, unknown_key

PREFIX: Final = "RANVIER_"
RESERVED: Final = frozenset({"RANVIER_HOME", "RANVIER_DEBUG"})
"""Variables of our own that are no settings."""
NODES: Final = "nodes"
"""The list of tables in a file that runs several (netuid, hotkey) pairs: each overrides the file's other keys."""

Table = dict[str, Any]
N = TypeVar("N", bound=NodeSettings)
M = TypeVar("M", bound=Settings)


def load_nodes(
    model: type[N], file: Path | None, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> tuple[N, ...]:
    """The nodes that one process runs, at least one. Raises `ConfigError`."""
    table = _read(file, {*_keys(model), NODES}) if file else {}
    entries = table.pop(NODES, [{}])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(str(file), f"{NODES} must be a list of tables: write [[{NODES}]]")
    for entry in entries:
        _check_keys(str(file), entry, _keys(model))
    over = _above(model, flags, environment)
    nodes = tuple(_validate(model, _where(file), merge(merge(table, entry), over)) for entry in entries)
    pairs = [(node.netuid, node.wallet, node.hotkey) for node in nodes]
    if len(set(pairs)) != len(pairs):
        raise ConfigError(_where(file), "two nodes have the same netuid and hotkey; give each its own")
    return nodes


def load_one(
    model: type[M], file: Path | None, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> M:
    """The settings of a process that is one thing only. Raises `ConfigError`."""
    table = _read(file, _keys(model)) if file else {}
    return _validate(model, _where(file), merge(table, _above(model, flags, environment)))


def merge(below: Table, above: Mapping[str, Any]) -> Table:
    """``above`` over ``below``, table by table."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def from_environment(model: type[Settings], environment: Mapping[str, str]) -> Table:
    """The settings in variables: RANVIER_NETUID=1, nested by two underscores: RANVIER_LOG__LEVEL=debug."""
    table: Table = {}
    for name, text in sorted(environment.items()):
        if not name.startswith(PREFIX) or name in RESERVED:
            continue
        path = name.removeprefix(PREFIX).lower().split("__")
        if path[0] not in _keys(model):
            raise unknown_key(f"environment variable {name}", path[0], _keys(model))
        _put(table, path, _from_text(_field(model, path), text))
    return table


def split_settings(pairs: Iterable[str]) -> Table:
    """``--set deadline=5 --set a.b=true`` as a table; values are read as TOML, else as plain text."""
    table: Table = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise ConfigError(f"--set {pair}", "write it as key=value")
        _put(table, key.split("."), _toml_value(text))
    return table


def _above(model: type[Settings], flags: Mapping[str, Any], environment: Mapping[str, str] | None) -> Table:
    named = from_environment(model, os.environ if environment is None else environment)
    return merge(named, {key: value for key, value in flags.items() if value is not None})


def _where(file: Path | None) -> str:
    return str(file) if file else "configuration"


def _read(file: Path, known: set[str]) -> Table:
    try:
        table = tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read: {error.strerror}; name an existing file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), f"is no TOML: {error}") from error
    _check_keys(str(file), table, known)
    return table


def _check_keys(where: str, table: Table, known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise unknown_key(where, key, known)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _keys(model: type[BaseModel]) -> set[str]:
    return set(_fields(model))


def _field(model: type[BaseModel], path: list[str]) -> FieldInfo | None:
    field = _fields(model).get(path[0])
    inner = field.annotation if field else None
    if len(path) > 1 and isinstance(inner, type) and issubclass(inner, BaseModel):
        return _field(inner, path[1:])
    return field if len(path) == 1 else None


def _from_text(field: FieldInfo | None, text: str) -> Any:
    """Text stays text where text is asked for; lists may be given as a,b,c."""
    if field is None:
        return _toml_value(text)
    if get_origin(field.annotation) is tuple and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text if field.annotation is str else _toml_value(text)


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(table: Table, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        table = table.setdefault(part, {})
    table[path[-1]] = value


def _validate(model: type[M], where: str, table: Table) -> M:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise _first(model, where, error) from error


def _first(model: type[BaseModel], where: str, error: ValidationError) -> ConfigError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return unknown_key(where, place, _nested_keys(model))
    if first["type"] == "missing":
        return ConfigError(
            where, f"{place} is not set; give it with --{place.replace('_', '-')} or in the file"
        )
    if not place:  # of the settings as a whole
        return ConfigError(where, first["msg"].removeprefix("Value error, "))
    return ConfigError(where, f"{place}: {first['msg']} (got {first['input']!r})")


def _nested_keys(model: type[BaseModel]) -> set[str]:
    keys = set()
    for key, field in _fields(model).items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys |= {f"{key}.{name}" for name in _nested_keys(inner)}
        else:
            keys.add(key)
    return keys
