"""``ranvier models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranvier.neurons.cli.tables import show

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Prepare models and list them.")


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
        make(names or list(RECIPES), Bars(bars), force=force)


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """The models that can be prepared, and whether they are."""
    from ranvier.engines.prepare import RECIPES
    from ranvier.engines.store import Store

    store = Store()
    rows = [
        (name, recipe.package.requirement, _place(store.path(name), ready=store.has(name)))
        for name, recipe in RECIPES.items()
    ]
    show(("model", "source", "prepared"), rows, as_json=as_json)


def _place(path: Path, *, ready: bool) -> str:
    return str(path) if ready else ""


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
