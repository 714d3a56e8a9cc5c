"""``ranvier engine`` and ``ranvier chain``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranvier.neurons.cli.running import run_until_signal

if TYPE_CHECKING:
    from ranvier.chain import Genesis
    from ranvier.neurons.config import ChainSettings, EngineSettings

Config = Annotated[Path | None, typer.Option(help="TOML file; flags and RANVIER_... variables override it.")]
Show = Annotated[
    bool, typer.Option("--show-config", help="Print the effective configuration as TOML and end.")
]


def engine(
    config: Config = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="kind=name, kind=/path or kind=org/name; repeatable: text=smollm2."),
    ] = None,
    listen: Annotated[str | None, typer.Option(help="unix:/path (mode 0600) or http://host:port.")] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            help="Endpoint of another engine or OpenAI-compatible server to serve from; repeatable."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:N, several with commas, or cuda:all.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; 0 leaves it to the library.")] = None,
    batch: Annotated[int | None, typer.Option(help="Requests that one batch holds at most.")] = None,
    memory: Annotated[int | None, typer.Option(help="MiB of data that each worker may have.")] = None,
    light: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=GGUF: llama.cpp answers in its place what has no seed, while few ask."),
    ] = None,
    spare: Annotated[
        bool | None, typer.Option(help="Keep a process warm, so that a dead worker is back within seconds.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port of /metrics and /health on loopback; 0 is off.")
    ] = None,
    show_config: Show = False,
) -> None:
    """Serve models to neurons: loaded here, once for each device, and those of other engines."""
    from ranvier.neurons.config import EngineSettings, load_one
    from ranvier.neurons.config.sample import render
    from ranvier.neurons.logs import configure

    flags: dict[str, Any] = {
        "models": model or None,
        "listen": listen,
        "device": device,
        "dtype": dtype,
        "threads": threads,
    }
    flags |= {"memory": memory, "spare": spare, "light": _pairs(light)}
    metrics = None if metrics_port is None else {"port": metrics_port}
    others = [{"endpoint": endpoint} for endpoint in upstream] if upstream else None
    settings = load_one(
        EngineSettings, config, {**flags, "batch": batch, "metrics": metrics, "upstreams": others}
    )
    if show_config:
        typer.echo(render(settings), nl=False)
        return
    configure(settings.log)
    _serve_engine(settings)


def _pairs(light: list[str] | None) -> dict[str, str] | None:
    pairs = [one.partition("=") for one in light or ()]
    if any(not (model and file) for model, _, file in pairs):
        raise typer.BadParameter("MODEL=GGUF, as in smollm2=smollm2-gguf", param_hint="--light")
    return {model: file for model, _, file in pairs} or None


def chain(
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
    """Run a local chain until SIGTERM."""
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
    genesis_ = _genesis(settings)
    run_until_signal(lambda stop: _serve_chain(settings, genesis_, stop))


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


def _serve_engine(settings: EngineSettings) -> None:
    from ranvier.neurons.engine import serve_engine

    asyncio.run(serve_engine(settings, ready=lambda endpoint: typer.echo(f"engine at {endpoint}")))


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
