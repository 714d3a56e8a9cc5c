"""``ranvier models bench``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranvier.neurons.cli.sizes import size

if TYPE_CHECKING:
    from ranvier.engines.bench.report import Bench, Lap
    from ranvier.engines.bench.run import Course
    from ranvier.engines.shape import Shape

WIDTH = 24
"""Cells of the longest bar."""


def bench(
    names: Annotated[
        list[str], typer.Argument(help="Known names, folders, GGUF files or hub ids; several are compared.")
    ],
    sizes: Annotated[
        str, typer.Option(help="Requests at once, with commas; smaller ones first.")
    ] = "1,2,4,8,16,32",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    dtype: Annotated[
        str, typer.Option(help="float32, bfloat16 or float16; the kind's own where none is named.")
    ] = "",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves it to the library.")] = 0,
    memory: Annotated[
        int, typer.Option(min=0, help="MiB of data that the worker may have; 0: no bound.")
    ] = 0,
    prompt: Annotated[int, typer.Option(min=8, help="Words of the long prompts; text only.")] = 256,
    answer: Annotated[int, typer.Option(min=1, help="Tokens of the answers; text only.")] = 64,
    as_json: Annotated[Path | None, typer.Option("--json", help="File for all figures.")] = None,
    plot: Annotated[Path | None, typer.Option(help="SVG file for a plot of speed and memory.")] = None,
) -> None:
    """How fast a model is here and what memory it takes, from one request at once to many, in a worker of its own."""
    from ranvier.engines.bench.loads import Sizes
    from ranvier.engines.bench.run import Course
    from ranvier.engines.bench.svg import drawing
    from ranvier.engines.catalog import find

    loads = _sizes(sizes)
    if plot is not None and plot.suffix != ".svg":
        raise typer.BadParameter(
            "name a file that ends in .svg: it is drawn without any library", param_hint="--plot"
        )
    benches = []
    for name in names:
        entry = find(name)
        course = Course(entry.spec, loads, device, dtype, threads, Sizes(prompt, answer), memory << 20)
        benches.append(_run(course, entry.shape))
        _show(benches[-1])
    _compare(benches)
    if as_json is not None:
        as_json.write_text(json.dumps([one.model_dump() for one in benches], indent=1) + "\n")
    if plot is not None:
        plot.write_text(drawing(benches))
        typer.echo(f"drawn: {plot}")


def _sizes(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise typer.BadParameter("numbers with commas, as 1,2,4", param_hint="--sizes") from error
    if not found or found[0] < 1 or found[-1] > 256:
        raise typer.BadParameter("from 1 to 256", param_hint="--sizes")
    return found


def _run(course: Course, shape: Shape | None) -> Bench:
    from rich.console import Console

    from ranvier.engines.bench.run import bench as run

    with Console(stderr=True).status(f"{course.model}: starting") as status:

        def say(what: str, lap: Lap | None, pid: int) -> None:
            status.update(f"{course.model}: {what}, worker {pid}")

        return asyncio.run(run(course, shape, say))


def _show(made: Bench) -> None:
    from rich.console import Console
    from rich.table import Table

    text = made.unit == "tokens"
    where = f"{made.device} ({made.device_name})" if made.device_name else made.device
    threads = f"threads: {made.threads or 'as the library likes'}"
    table = Table(
        title=f"{made.model} by {made.engine}, {made.dtype}, {where}, {threads}", title_justify="left"
    )
    table.add_column("at once", justify="right")
    table.add_column(f"{made.unit}/s", justify="right")
    table.add_column("", min_width=WIDTH)
    table.add_column("a CPU second", justify="right")
    if text:
        table.add_column("prompt/s", justify="right")
    for column in ("first, s" if text else "request, s", "memory", "estimate"):
        table.add_column(column, justify="right")
    top = max((lap.per_second for lap in made.done), default=0.0)
    for lap in made.laps:
        table.add_row(*_cells(lap, top, text=text))
    Console(width=None).print(table)
    for lap in made.laps:
        if lap.lack:
            typer.echo(f"{lap.size} at once: {lap.lack}. Larger ones were not tried.")


def _cells(lap: Lap, top: float, *, text: bool) -> Sequence[str]:
    if lap.lack:
        return (str(lap.size), "[red]failed")
    reading = (f"{lap.prompt_per_second:.0f}",) if text else ()
    error = (lap.estimate / lap.measured - 1) if lap.measured and lap.estimate else 0.0
    return (
        str(lap.size),
        f"{lap.per_second:.1f}",
        "[cyan]" + bar(lap.per_second / top if top else 0.0, WIDTH),
        f"{lap.per_cpu_second:.1f}",
        *reading,
        f"{lap.first_seconds:.2f}",
        size(lap.measured),
        f"{size(lap.estimate)} ({error:+.0%})" if lap.estimate else "",
    )


def bar(share: float, width: int) -> str:
    """A bar of eighths of cells."""
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")


def _compare(benches: Sequence[Bench]) -> None:
    """Which is the faster choice at which concurrency."""
    from ranvier.engines.bench.report import faster

    for kind in dict.fromkeys(one.kind for one in benches):
        for count, best, times, cpu_times in faster([one for one in benches if one.kind == kind]):
            cpu = f", {cpu_times:.1f} times for each CPU second" if cpu_times else ""
            typer.echo(
                f"{count:>4} at once: {best.model} by {best.engine}, {times:.1f} times as fast as the next{cpu}"
            )
