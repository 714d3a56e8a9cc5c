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
        _report("machine", asyncio.run(_look("machine", None, {})), as_json=as_json, strict=strict)
    elif as_json or strict:
        raise typer.BadParameter("write --json and --strict after the role")


def _examining(role: str, command: Callable[..., None]) -> Callable[..., None]:
    """The same options as those of the role's own command: what starts a node examines it."""

    def examine(**given: Any) -> None:
        as_json, strict = given.pop("as_json"), given.pop("strict")
        config = given["config"]
        found = asyncio.run(_look(role, config, nodes.flags_of(given)))
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


async def _look(role: str, config: Path | None, flags: dict[str, Any]) -> list[Finding]:
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
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    many = len({one.node for one in found if one.node}) > 1
    table = Table(show_lines=False, box=None, padding=(0, 2, 0, 0))
    for column in (*(("node",) if many else ()), "check", "status", "finding", "next step"):
        table.add_column(column, overflow="fold", no_wrap=column in ("node", "check", "status"))
    for one in found:
        row = (
            one.check,
            f"[{COLOURS[one.status]}]{one.status}[/]",
            escape(one.finding),
            escape(one.next_step),
        )
        table.add_row(*((one.node,) if many else ()), *row)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\n{_summary(found)}")


def _summary(found: list[Finding]) -> str:
    count = {status: sum(one.status == status for one in found) for status in COLOURS}
    counted = ", ".join(f"{number} {status}" for status, number in count.items() if number)
    failed = list(dict.fromkeys(one.check for one in found if one.status == "fail"))
    return f"{counted}. First: {failed[0]}." if failed else f"{counted}."
