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
    name: Annotated[
        str, typer.Argument(help="A model: prepared, a folder or a hub id; a classifier that ships.")
    ],
    out: Annotated[Path, typer.Option(help="File to write.")],
    kind: Annotated[str, typer.Option(help="text, embed or classify.")] = "text",
    dtype: Annotated[
        str | None, typer.Option(help="bfloat16 (the default for text), float16 or float32 (for others).")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    answers: Annotated[
        int, typer.Option(min=16, help="Of the first honest way, and a share of that of the others.")
    ] = 192,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the answers in this file; an interrupted run goes on from it.")
    ] = None,
) -> None:
    """Measure what honest answers of a model look like beside cheaper ones; validators judge by the file."""
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder {out.absolute().parent} does not exist", param_hint="--out")
    if kind == "text":
        _calibrate_text(name, out, dtype or "bfloat16", device, answers, keep)
    elif keep is not None:
        raise typer.BadParameter("answers are kept for text only: others take a minute", param_hint="--keep")
    elif kind in ("embed", "classify"):
        _calibrate_vectors(kind, name, out, dtype or "float32", device, answers)
    else:
        raise typer.BadParameter(f"{kind!r} is none of text, embed, classify", param_hint="--kind")


def _calibrate_text(name: str, out: Path, dtype: str, device: str, answers: int, keep: Path | None) -> None:
    """By its tokens."""
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
    for way in found.uncalibrated:
        typer.echo(
            f"{way}: looks like cheaper work to this verifier; miners that compute so are not accepted"
        )
    read_calibration(out)  # says so if these counts cannot be used


def _calibrate_vectors(kind: str, name: str, out: Path, dtype: str, device: str, answers: int) -> None:
    """For embedders and classifiers; ``answers`` are texts."""
    from ranvier.subnets.verification import read_distances
    from ranvier.subnets.verification.vector_ways import Ways, measure, texts_for

    wider = "float32" if dtype != "float32" else "bfloat16"
    ways = Ways(kind, name, dtype=dtype, other=wider, device=device)
    found = measure(ways, texts_for(name, answers, 1), typer.echo)
    out.write_text(found.model_dump_json(indent=1) + "\n", "utf-8")
    rows = [
        (way, f"{spread.median:.2e}", f"{spread.largest:.2e}", f"{spread.beyond:.3f}")
        for way, spread in {**found.honest, **found.cheap}.items()
    ]
    show(("way of computing", "median", "largest", f"beyond {found.limit:.2e}"), rows, as_json=False)
    read_distances(out)  # says so if these distances cannot be used
