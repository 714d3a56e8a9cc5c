"""``ranvier models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranvier.neurons.cli.bench import bench
from ranvier.neurons.cli.fit import fit
from ranvier.neurons.cli.shelf import list_models
from ranvier.neurons.cli.tables import show

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Prepare models, list them, say what fits this box, bench them.",
)


@app.command()
def prepare(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all where none is named.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make them again, also where they are ready.")
    ] = False,
) -> None:
    """Fetch, convert and check models; what is ready is left alone, what was interrupted goes on."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from ranvier.engines.prepare import RECIPES
    from ranvier.engines.prepare import prepare as make

    columns = (TextColumn("{task.fields[name]:<12}"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn()) as bars:
        make(names or [name for name, one in RECIPES.items() if not one.on_demand], Bars(bars), force=force)


app.command("list")(list_models)
app.command()(fit)
app.command()(bench)


class Bars:
    """Progress of preparing, one bar for each model."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def step(self, name: str, what: str, done: int, total: int) -> None:
        """Show that ``name`` is at ``what``, ``done`` of ``total``."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(what, total=total, name=name)
        self._bars.update(self._tasks[name], description=what, completed=done, total=total)


@app.command()
def calibrate(
    name: Annotated[str, typer.Argument(help="A text model: prepared, a folder, or a hub id.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    dtype: Annotated[str, typer.Option(help="bfloat16, float16 or float32.")] = "bfloat16",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    answers: Annotated[
        int, typer.Option(min=16, help="Of the first honest way, and a share of that of the others.")
    ] = 192,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the answers in this file; an interrupted run goes on from it.")
    ] = None,
) -> None:
    """Count what honest answers of a text model look like beside cheaper ones; validators judge by the file."""
    from ranvier.engines.load import Loader
    from ranvier.subnets.text.calibrate import calibrate as count
    from ranvier.subnets.text.calibrate import write
    from ranvier.subnets.verification import read_calibration

    wider = "float32" if dtype != "float32" else "bfloat16"
    network, other = (Loader(device=device, dtype=kind).network(name) for kind in (dtype, wider))
    found = count(name, network, other, answers=answers, keep=keep, say=typer.echo)
    write(found, out)
    rows = [
        (way, str(number), *(f"{found.drift(way, one):+.4f}" for one in found.nearest))
        for way, number in found.answers.items()
    ]
    show(
        ("way of answering", "answers", *(f"nats a token, as of {one}" for one in found.nearest)),
        rows,
        as_json=False,
    )
    read_calibration(out)  # says so if these counts cannot be used
