"""Settings as a complete, commented TOML file: what `--show-config` prints and `configs/` holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

HEAD: Final = """\
# Every key with its meaning. What is left out has its default. RANVIER_KEY=... (RANVIER_TABLE__KEY=...) in the
# environment wins over this file, a flag over both; an unknown key is an error.
"""


def render(settings: BaseModel, own: BaseModel | None = None) -> str:
    """Every key with its value and what it means; ``own`` are the subnet's settings, for the table ``[settings]``."""
    tables: list[tuple[str, str, Any]] = []
    lines: list[str] = [HEAD]
    for key, text, value in _items(settings):
        if key == "settings" and own is not None:
            tables.append((key, text, own))
        elif isinstance(value, BaseModel | dict):
            tables.append((key, text, value))
        else:
            lines += [f"# {text}", f"{key} = {_toml(value)}"]
    for key, text, value in tables:
        lines += ["", f"# {text}", f"[{key}]", *_table(value)]
    return "\n".join(lines) + "\n"


def _table(value: BaseModel | dict[str, Any]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{key} = {_toml(inner)}"
        return
    for key, text, inner in _items(value):
        yield f"# {text or key.replace('_', ' ')}"
        # TOML has no null: what is not set is shown as a comment.
        yield f"# {key} is not set" if inner is None else f"{key} = {_toml(inner)}"


def _items(model: BaseModel) -> Iterator[tuple[str, str, Any]]:
    for name, field in type(model).model_fields.items():
        yield field.alias or name, field.description or "", getattr(model, name)


def _toml(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value)
