"""``ranvier doctor``, ``ranvier doctor miner`` and ``ranvier doctor validator``."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ranvier.neurons.cli import nodes
from ranvier.neurons.exits import ExitCode

if TYPE_CHECKING:
    from ranvier.neurons.doctor.finding import Finding

app = typer.Typer(
    add_completion=False,
    help="Look at everything that a node needs, change nothing, and say what to do. "
    "Alone: the machine. Ends with 1 if anything fails.",
)
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Strict = Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")]
COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "bold red", "skipped": "dim"}


@app.callback(invoke_without_command=True)
def machine(context: typer.Context, as_json: Json = False, strict: Strict = False) -> None:
    """Look at the machine alone, unless a role is named."""
    if context.invoked_subcommand is None:
        _report("machine", _look("machine", None, {}), as_json=as_json, strict=strict)
    elif as_json or strict:
        raise typer.BadParameter("write --json and --strict after the role")


def _examining(role: str, command: Callable[..., None]) -> Callable[..., None]:
    """The same options as those of the role's own command: what starts a node examines it."""

    def examine(**given: Any) -> None:
        as_json, strict = given.pop("as_json"), given.pop("strict")
        found = _look(role, given["config"], nodes.flags_of(given))
        _report(role, found, as_json=as_json, strict=strict)

    options = inspect.signature(command, eval_str=True).parameters.values()
    kept = [one for one in options if one.name != "show_config"]
    own = [
        inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
        inspect.Parameter("strict", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Strict),
    ]
    vars(examine)["__signature__"] = inspect.Signature([*kept, *own])
    examine.__annotations__ = {one.name: one.annotation for one in (*kept, *own)}
    return examine


app.command("miner", help="Examine a miner; takes the options of `ranvier miner`.")(
    _examining("miner", nodes.miner)
)
app.command("validator", help="Examine a validator; takes the options of `ranvier validator`.")(
    _examining("validator", nodes.validator)
)


def _look(role: str, config: Path | None, flags: dict[str, Any]) -> list[Finding]:
    """All findings; a person at a terminal sees that something is going on: a block may take its time."""
    from rich.console import Console

    with Console(stderr=True).status("looking, and waiting for a block"):
        return asyncio.run(_examine(role, config, flags))


async def _examine(role: str, config: Path | None, flags: dict[str, Any]) -> list[Finding]:
    from ranvier.neurons.config import MinerSettings, ValidatorSettings, load_nodes
    from ranvier.neurons.doctor.examine import checks_of, examine_machine, examine_nodes
    from ranvier.neurons.doctor.finding import fail, ok, skipped
    from ranvier.neurons.errors import ConfigError

    found = await examine_machine()
    if role == "machine":
        return found
    try:
        settings: Any = load_nodes(MinerSettings if role == "miner" else ValidatorSettings, config, flags)
    except ConfigError as error:
        step = f"correct it; `ranvier {role} --show-config` prints every key of a file that is sound"
        found.append(fail("configuration", str(error), step))
        return [*found, *(skipped(check.name, "because of configuration") for check in checks_of(role))]
    count = "one node" if len(settings) == 1 else f"{len(settings)} nodes"
    found.append(ok("configuration", f"{count} from {config or 'flags, environment and defaults'}"))
    return found + await examine_nodes(settings)


def _report(role: str, found: list[Finding], *, as_json: bool, strict: bool) -> None:
    from ranvier.neurons.doctor.versions import DISTRIBUTION, installed

    bad = [one for one in found if one.status == "fail" or (strict and one.status == "warn")]
    if as_json:
        said = {
            "version": installed(DISTRIBUTION),
            "role": role,
            "ok": not bad,
            "findings": [one.as_json() for one in found],
        }
        typer.echo(json.dumps(said, indent=2))
    else:
        _show(found)
    raise typer.Exit(ExitCode.UNEXPECTED if bad else ExitCode.OK)


def _show(found: list[Finding]) -> None:
    """A table; what to do stands under what was found, where long paths have room."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    many = len({one.node for one in found if one.node}) > 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold underline")
    for column in (*(("node",) if many else ()), "check", "status"):
        table.add_column(column, no_wrap=True)
    table.add_column("finding, and next step", overflow="fold")
    for one in found:
        said = escape(one.finding) + (f"\n[bold]-> {escape(one.next_step)}[/]" if one.next_step else "")
        row = (one.check, f"[{COLOURS[one.status]}]{one.status}[/]", said)
        table.add_row(*((one.node,) if many else ()), *row)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\n{_summary(found)}")


def _summary(found: list[Finding]) -> str:
    count = {status: sum(one.status == status for one in found) for status in COLOURS}
    counted = ", ".join(f"{number} {status}" for status, number in count.items() if number)
    failed = list(dict.fromkeys(one.check for one in found if one.status == "fail"))
    return f"{counted}. First: {failed[0]}." if failed else f"{counted}."
