"""``ranvier engine``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ranvier.neurons.config import EngineSettings

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
    safety: Annotated[
        bool | None, typer.Option(help="Run an image pipeline's own safety checker, if it has one.")
    ] = None,
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
        EngineSettings,
        config,
        {**flags, "safety": safety, "batch": batch, "metrics": metrics, "upstreams": others},
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


def _serve_engine(settings: EngineSettings) -> None:
    from ranvier.neurons.engine import serve_engine

    asyncio.run(serve_engine(settings, ready=lambda endpoint: typer.echo(f"engine at {endpoint}")))
