"""``ranvier doctor``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ranvier.neurons.doctor.finding import Finding

COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red", "skipped": "dim"}


def doctor(
    role: Annotated[
        str, typer.Argument(help="miner, validator, or machine for the environment alone.")
    ] = "machine",
    config: Annotated[Path | None, typer.Option(help="The node's TOML file.")] = None,
    subnet: Annotated[str | None, typer.Option(help="Installed subnet, or package.module:Class.")] = None,
    netuid: Annotated[int | None, typer.Option(help="The subnet's number on the chain.")] = None,
    network: Annotated[str | None, typer.Option(help="Profile or address of the chain.")] = None,
    wallet: Annotated[str | None, typer.Option(help="Wallet's name.")] = None,
    hotkey: Annotated[str | None, typer.Option(help="Hotkey's name in the wallet.")] = None,
    wallets: Annotated[str | None, typer.Option(help="Folder of all wallets.")] = None,
    engine: Annotated[str | None, typer.Option(help="Engine: unix:/path or http://host:port.")] = None,
    state: Annotated[str | None, typer.Option(help="Folder of the state.")] = None,
    host: Annotated[str | None, typer.Option(help="Interface that the miner listens on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port that the miner listens on.")] = None,
    advertise: Annotated[str | None, typer.Option(help="IP address published on the chain.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
) -> None:
    """Look at everything that a node needs, change nothing, and say what to do; ends with 1 if anything fails."""
    names = ("subnet", "netuid", "network", "wallet", "hotkey", "wallets", "engine", "state")
    given = dict(locals())
    flags = {name: given[name] for name in names}
    if role == "miner":
        flags |= {"host": host, "port": port, "advertise": advertise}
    elif role not in ("validator", "machine"):
        raise typer.BadParameter(f"{role!r} is neither miner, validator nor machine", param_hint="ROLE")
    found = asyncio.run(_examine(role, config, flags))
    bad = [one for one in found if one.status == "fail" or (strict and one.status == "warn")]
    if as_json:
        said = {"role": role, "ok": not bad, "findings": [one.as_json() for one in found]}
        typer.echo(json.dumps(said, indent=2))
    else:
        _show(found, len(bad))
    raise typer.Exit(1 if bad else 0)


async def _examine(role: str, config: Path | None, flags: dict[str, Any]) -> list[Finding]:
    from ranvier.neurons.config import MinerSettings, ValidatorSettings, load_nodes
    from ranvier.neurons.doctor.examine import examine_node
    from ranvier.neurons.doctor.finding import fail, ok, skipped
    from ranvier.neurons.doctor.machine import examine_machine
    from ranvier.neurons.errors import ConfigError

    found = list(examine_machine())
    if role == "machine":
        return found
    try:
        nodes: Any = load_nodes(MinerSettings if role == "miner" else ValidatorSettings, config, flags)
    except ConfigError as error:
        found.append(
            fail("configuration", str(error), "correct it; `--show-config` of the role shows all keys")
        )
        return [*found, skipped("node", "because of configuration")]
    found.append(
        ok("configuration", f"{len(nodes)} node(s) from {config or 'flags, environment and defaults'}")
    )
    for settings in nodes:
        found += await examine_node(settings)
    return found


def _show(found: list[Finding], bad: int) -> None:
    from rich.console import Console
    from rich.table import Table

    many = len({one.node for one in found if one.node}) > 1
    table = Table(show_lines=False)
    for column in (*(("node",) if many else ()), "check", "status", "finding", "next step"):
        table.add_column(column, overflow="fold", no_wrap=column in ("check", "status"))
    for one in found:
        colour = COLOURS[one.status]
        row = (one.check, f"[{colour}]{one.status}[/]", _plain(one.finding), _plain(one.next_step))
        table.add_row(*((one.node,) if many else ()), *row)
    console = Console()
    console.print(table)
    console.print("everything that was looked at is well" if not bad else f"{bad} of {len(found)} need you")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
