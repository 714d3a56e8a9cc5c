"""``ranvier models list``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranvier.neurons.cli.sizes import many, size

if TYPE_CHECKING:
    from ranvier.engines.catalog import Entry

DTYPES = ("bfloat16", "float32")


def list_models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Known names, folders, GGUF files or hub ids; all known ones where none is named."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """The models that ship or can be prepared, or those that are named: what they are for, and what they take."""
    from ranvier.engines.catalog import entries, find

    found = [find(name) for name in names] if names else entries()
    if as_json:
        typer.echo(json.dumps([_facts(one) for one in found], indent=2))
    else:
        _show(found)


def _memory(entry: Entry) -> dict[str, int]:
    """Bytes for one request, by dtype."""
    from ranvier.engines.box import multiplies_bfloat16
    from ranvier.engines.fit import Load, estimate

    shape = entry.shape
    if shape is None:
        return {}
    load = Load(1, min(shape.context, 2048))
    dtypes = ("as stored",) if shape.fixed else DTYPES
    widens = not multiplies_bfloat16()
    return {dtype: estimate(shape, dtype, load, widens=widens).total for dtype in dtypes}


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "model": entry.spec,
        "kind": entry.kind,
        "about": entry.about,
        "licence": entry.licence,
        "source": entry.source,
        "ready": entry.place is not None,
        "place": str(entry.place or ""),
        "prepare": entry.command,
        "disk_bytes": entry.disk,
        "parameters": entry.shape.parameters if entry.shape else None,
        "context": entry.shape.context or None if entry.shape else None,
        "stored": entry.shape.stored if entry.shape else None,
        "memory_bytes": _memory(entry),
    }


def _show(found: list[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("model", "size", "memory for one", "licence"):
        table.add_column(column, no_wrap=True)
    table.add_column("for what, and where")
    for one in found:
        memory = "\n".join(f"{size(count):>8} {dtype}" for dtype, count in _memory(one).items())
        shape = f"{many(one.shape.parameters)} {one.shape.stored}\n" if one.shape else ""
        lines = (one.about, _where(one))
        table.add_row(
            f"[bold]{one.spec}",
            f"{shape}{size(one.disk)} on disk",
            memory,
            one.licence,
            "\n".join(filter(None, lines)),
        )
        table.add_section()
    Console().print(table)
    typer.echo(
        "Memory: of a worker, on a CPU, with one request of up to 2048 tokens. `ranvier models fit` says more."
    )


def _where(one: Entry) -> str:
    if one.place is None:
        return f"[yellow]not here:[/] {one.command or one.source}"
    home, place = str(Path.home()), str(one.place)
    if one.source.startswith("ships"):
        return f"[green]ready[/], {one.source}"
    return f"[green]ready[/] in {place.replace(home, '~', 1)}, from {one.source}"
