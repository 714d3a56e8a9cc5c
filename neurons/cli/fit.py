"""``ranvier models fit``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranvier.neurons.cli.sizes import many, size

if TYPE_CHECKING:
    from ranvier.engines.box import Box
    from ranvier.engines.fit import Device, Load
    from ranvier.engines.shape import Shape

Question = tuple[str, "Shape", str]
"""A model's name, its shape, and a dtype."""


def fit(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Known names, folders, GGUF files or hub ids; what is prepared where none is named."
        ),
    ] = None,
    context: Annotated[int, typer.Option(min=1, help="Tokens of a request: prompt and answer.")] = 2048,
    batch: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 16,
    gpu: Annotated[
        list[float] | None,
        typer.Option(help="Look at a GPU of so many GiB as well that is not here; repeatable."),
    ] = None,
    guide: Annotated[bool, typer.Option(help="Also models of well-known sizes.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """What this box has room for: each model on each device, how many requests at once, how long. Loads nothing."""
    from ranvier.engines.box import look
    from ranvier.engines.fit import Device, Load, devices_of

    asked = _asked(names)
    box = look()
    given = [
        Device(f"{one:g} GiB GPU", int(one * (1 << 30)), int(0.98 * one * (1 << 30))) for one in gpu or ()
    ]
    devices, load = [*devices_of(box), *given], Load(batch, context)
    own = _rows(asked, devices, load)
    others = _rows(_guide(), devices, load) if guide else []
    if as_json:
        found = {"box": asdict(box), "context": context, "batch": batch, "models": own, "guide": others}
        typer.echo(json.dumps(found, indent=2))
        return
    _say_box(box)
    _show("models", own, load)
    if guide:
        _show("well-known sizes, as a guide (int8: an engine that quantises, behind this one)", others, load)
    _explain()


def _asked(names: Sequence[str] | None) -> list[Question]:
    from ranvier.engines.catalog import entries, find

    chosen = [find(name) for name in names] if names else entries()
    alike = {one.shape: one for one in reversed(chosen)}
    return [
        (one.spec, one.shape, dtype)
        for one in chosen
        if one.shape is not None and alike[one.shape] is one
        for dtype in (("as stored",) if one.shape.fixed else ("float32", "bfloat16"))
    ]


def _guide() -> list[Question]:
    from ranvier.engines.guide import GUIDE, GUIDE_DTYPES

    return [(name, shape, dtype) for name, shape in GUIDE.items() for dtype in GUIDE_DTYPES]


def _rows(asked: Sequence[Question], devices: Sequence[Device], load: Load) -> list[dict[str, Any]]:
    from ranvier.engines.fit import room

    rows = []
    for name, shape, dtype in asked:
        for device in devices:
            found = room(shape, dtype, device, load)
            rows.append(
                {
                    "model": name,
                    "kind": shape.kind,
                    "parameters": shape.parameters,
                    "dtype": dtype,
                    "device": device.name,
                    "weights_bytes": found.weights,
                    "cache_bytes_per_token": shape.token_bytes(dtype),
                    "need_bytes": found.need,
                    "free_bytes": device.free,
                    "fits": found.size > 0,
                    "most_at_once": found.size,
                    "longest_context": found.context,
                }
            )
    return rows


def _say_box(box: Box) -> None:
    how = "" if box.bfloat16 else "; it does not multiply bfloat16: such models are widened to float32, too"
    typer.echo(f"CPU     {box.cpu}, {box.cores:g} cores to use{how}")
    typer.echo(f"memory  {size(box.memory)}, {size(box.available)} available")
    for one in box.gpus:
        typer.echo(f"GPU {one.index}   {one.name}: {size(one.total)}, {size(one.free)} free")
    if box.lack:
        typer.echo(f"GPU     none: {box.lack}")


def _show(title: str, rows: Sequence[dict[str, Any]], load: Load) -> None:
    from rich.console import Console
    from rich.table import Table

    from ranvier.engines.fit import LARGEST

    table = Table(title=title, title_justify="left")
    for column in ("model", "size", "dtype", "device"):
        table.add_column(column)
    for column in (
        "weights",
        "cache / 1k",
        "for one",
        f"of {load.context}",
        f"tokens for {load.size}",
    ):
        table.add_column(column, justify="right")
    last = ""
    for row in rows:
        most, text = row["most_at_once"], row["kind"] == "text"
        often = f"{LARGEST}+" if most == LARGEST else str(most)
        table.add_row(
            f"[bold]{row['model']}" if row["model"] != last else "",
            many(row["parameters"]) if row["model"] != last else "",
            row["dtype"],
            row["device"],
            size(row["weights_bytes"]),
            size(1024 * row["cache_bytes_per_token"]) if text else "",
            size(row["need_bytes"]),
            ("[green]" + often if text else "[green]fits") if row["fits"] else "[red]too large",
            str(row["longest_context"] or "") if text else "",
        )
        last = row["model"]
    Console().print(table)


def _explain() -> None:
    typer.echo(
        "for one: a worker with its weights and one request; of N: how many requests of N tokens at once;\n"
        "tokens for N: how long each of N at once may be. The text engine gives half of what the weights leave\n"
        "to keys and values, on a CPU 2 GiB at most; each device gets a worker with all its models. Pictures\n"
        "need memory of their own: `ranvier models bench` measures it. docs/engines.md says how sure this is."
    )
