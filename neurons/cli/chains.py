"""``ranvier chain``: run one, and what can be done with its state."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranvier.neurons.cli.ledger.options import AsJson
from ranvier.neurons.cli.running import run_until_signal
from ranvier.neurons.cli.servers import Config, Show

if TYPE_CHECKING:
    from ranvier.chain import Checkpoint, Genesis
    from ranvier.neurons.config import ChainSettings

app = typer.Typer(invoke_without_command=True, add_completion=False, help="Run a local chain until SIGTERM.")
State = Annotated[str, typer.Option(help="Folder of the chain's state; chain/ under ~/.ranvier by default.")]


@app.callback()
def chain(
    context: typer.Context,
    config: Config = None,
    state: Annotated[str | None, typer.Option(help="Folder of the chain's state.")] = None,
    genesis: Annotated[str | None, typer.Option(help="Genesis file for a new chain.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Settings of a new chain: local, 2024, article or 2026.")
    ] = None,
    fair_launch: Annotated[
        bool | None,
        typer.Option("--fair-launch", help="Nothing is there before; first places are given for work."),
    ] = None,
    block_time: Annotated[float | None, typer.Option(help="Seconds between blocks of a preset.")] = None,
    host: Annotated[str | None, typer.Option(help="Interface to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    show_config: Show = False,
) -> None:
    """Run a local chain until SIGTERM, or do something with the state of one."""
    if context.invoked_subcommand is not None:
        return
    from ranvier.neurons.config import ChainSettings, load_one
    from ranvier.neurons.config.sample import render
    from ranvier.neurons.logs import configure

    new: dict[str, Any] = {"preset": preset, "fair_launch": fair_launch, "block_time": block_time}
    flags = {"state": state, "genesis": genesis, "host": host, "port": port, **new}
    settings = load_one(ChainSettings, config, flags)
    if show_config:
        typer.echo(render(settings), nl=False)
        return
    configure(settings.log)
    found = _genesis(settings)
    run_until_signal(lambda stop: _serve_chain(settings, found, stop))


@app.command()
def checkpoint(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    network: Annotated[str, typer.Option(help="local, or the address of a chain server.")] = "local",
    as_json: AsJson = False,
) -> None:
    """Write the whole chain, as it is now, into a file; it may run on."""
    made = asyncio.run(_checkpoint(network))
    made.write(out)
    if as_json:
        found = {"block": made.block.number, "state_hash": made.state_hash, "records": len(made.records)}
        typer.echo(json.dumps({**found, "file": str(out)}))
    else:
        typer.echo(
            f"block {made.block.number}, state hash {made.state_hash}, {len(made.records)} records: {out}"
        )


@app.command("genesis")
def write_genesis(
    out: Annotated[
        Path, typer.Argument(help="File to write, for `ranvier chain --genesis`; must not be there.")
    ],
    preset: Annotated[
        str, typer.Option(help="Settings to begin with: local, 2024, article or 2026.")
    ] = "local",
    fair_launch: Annotated[
        bool, typer.Option("--fair-launch", help="Nothing is there before; first places are given for work.")
    ] = False,
    committee: Annotated[
        list[str] | None, typer.Option(help="A coldkey's address that may propose motions; repeatable.")
    ] = None,
) -> None:
    """Write the genesis of a new chain, to be changed as you like."""
    from ranvier.chain import preset_genesis
    from ranvier.neurons.errors import ConfigError

    made = preset_genesis(preset, fair_launch=fair_launch, committee=committee or ())
    if out.exists():
        raise ConfigError("out", f"{out} is there already; name another file")
    made.write(out)
    typer.echo(f"{out}: change what you like, then start it with `ranvier chain --genesis {out}`")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A checkpoint.")],
    state: State = "",
    keys_from: Annotated[
        Path | None,
        typer.Option(
            help="State folder of the chain that it is of: its keys of locked rows come along, and they will open."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a checkpoint into an empty folder; `ranvier chain --state` then goes on from its block."""
    from ranvier.chain import Checkpoint
    from ranvier.chain.store import pulse_of

    made, folder = Checkpoint.read(file), _folder(state)
    lost = made.restore(folder, pulse_of(keys_from.expanduser()) if keys_from is not None else None)
    if as_json:
        found = {"block": made.block.number, "state_hash": made.state_hash, "state": str(folder)}
        typer.echo(json.dumps({**found, "lost_rows": [asdict(row) for row in lost]}))
        return
    typer.echo(f"{folder} holds block {made.block.number}, state hash {made.state_hash}")
    for row in lost:
        typer.echo(
            f"  cannot be opened here: the row for subnet {row.netuid} that {row.hotkey} locked in block {row.block}"
        )
    if lost:
        typer.echo(
            "  with --keys-from FOLDER of the chain that this is a checkpoint of they open; or send them anew"
        )


@app.command()
def replay(state: State = "", as_json: AsJson = False) -> None:
    """Make every block of a stopped chain again from its signed calls: hashes and state must come out the same."""
    from rich.progress import Progress

    from ranvier.chain.replay import replay as again

    folder = _folder(state)
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bars:
        task = bars.add_task("blocks", total=None)
        done = again(folder, lambda block: bars.update(task, completed=block))
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    made = done.last - done.first
    typer.echo(
        f"{made} blocks with {done.calls} calls from block {done.first} on: the same, state hash {done.state_hash}"
    )


def _folder(state: str) -> Path:
    from ranvier.neurons.config import ChainSettings

    return ChainSettings(state=state).folder


async def _checkpoint(network: str) -> Checkpoint:
    from ranvier.chain.local import LocalChain
    from ranvier.neurons.config import resolve

    async with LocalChain(resolve(network).endpoint) as found:
        return await found.checkpoint()


def _genesis(settings: ChainSettings) -> Genesis | None:
    """The file's, the preset's, or none for a chain that was started before. Raises `BadGenesis` and `ConfigError`."""
    from ranvier.chain import Genesis, preset_genesis
    from ranvier.neurons.errors import ConfigError

    if settings.genesis and settings.preset:
        raise ConfigError("preset", "name a genesis file or a preset, not both")
    if settings.genesis:
        return Genesis.read(Path(settings.genesis).expanduser())
    if not settings.preset:
        return None
    changes: dict[str, Any] = {"block_time": settings.block_time} if settings.block_time else {}
    return preset_genesis(settings.preset, fair_launch=settings.fair_launch, **changes)


async def _serve_chain(settings: ChainSettings, genesis: Genesis | None, stop: asyncio.Event) -> None:
    from ranvier.chain.server import serve

    server = asyncio.ensure_future(
        serve(
            *(settings.folder, genesis, settings.host, settings.port),
            ready=lambda running: typer.echo(f"chain at {running.endpoint}"),
        )
    )
    stopped = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait((server, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if server in done:
        server.result()
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)
