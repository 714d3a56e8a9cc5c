"""``ranvier localnet``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def localnet(
    epochs: Annotated[
        int | None, typer.Option(min=1, help="End after so many epochs, counted from the first incentive.")
    ] = None,
    subnet: Annotated[list[str] | None, typer.Option(help="Only this subnet; repeatable.")] = None,
    lite: Annotated[bool, typer.Option("--lite", help="The example subnet alone: needs no models.")] = False,
    seed: Annotated[int, typer.Option(help="Decides the keys of all participants.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the final report to this file.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew instead of going on.")] = False,
    state: Annotated[Path | None, typer.Option(help="Folder of the network.")] = None,
    tempo: Annotated[int | None, typer.Option(min=5, help="Blocks in an epoch.")] = None,
    block_time: Annotated[float | None, typer.Option(min=0.1, help="Seconds in a block.")] = None,
) -> None:
    """Run a whole network on this machine: chain, engines, validators, miners and cheats.

    Ends with 0 if in every subnet each honest miner out-earned each cheat by the design's margins, else with 17.
    """
    from ranvier.neurons.config.models import home
    from ranvier.neurons.exits import ExitCode
    from ranvier.neurons.localnet.options import Options
    from ranvier.neurons.localnet.run import Localnet, console, write_report

    where = state or home() / ("localnet-lite" if lite else "localnet")
    options = (Options.lite if lite else Options.full)(
        where, seed=seed, epochs=epochs, json=json, fresh=fresh
    )
    options = options.adjusted(subnets=subnet, tempo=tempo, block_time=block_time)
    shown = console()
    report = asyncio.run(Localnet(options, shown).run())
    if json is not None:
        write_report(report, json)
    if epochs is None:
        return
    for failure in report.failures():
        shown.print(f"[red]not shown:[/] {failure}")
    if report.failures() or any(one.epochs < epochs for one in report.subnets):
        raise typer.Exit(ExitCode.NOT_PROVEN)
    shown.print("[green]honest work paid best in every subnet[/]")
