"""The engine process: a front without torch, and a worker process for each device and each GGUF file."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ranvier.engines.devices import named
from ranvier.engines.llama import gguf_of
from ranvier.engines.load import Spec, need
from ranvier.engines.server import serve, told_to_stop
from ranvier.engines.upstream.front import Front
from ranvier.engines.upstream.plan import WorkerPlan
from ranvier.engines.upstream.pool import FEW
from ranvier.engines.upstream.upstream import Address
from ranvier.neurons.errors import ConfigError

if TYPE_CHECKING:
    from ranvier.neurons.config import EngineSettings
    from ranvier.neurons.config.models import UpstreamSettings

_log = logging.getLogger(__name__)


async def serve_engine(settings: EngineSettings, *, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. Raises `EngineError` and `ConfigError`."""
    if not settings.models and not settings.upstreams:
        raise ConfigError("models", "name at least one, e.g. --model text=smollm2, or an --upstream")
    addresses = [_address(one) for one in settings.upstreams]
    front = Front(await plans(settings), addresses, max_queue=settings.queue, spare=settings.spare)
    metrics = (settings.metrics.host, settings.metrics.port) if settings.metrics.port else None
    stop = told_to_stop()
    if await _started(front, stop):
        await _say(front)
        await serve(front, settings.listen, metrics=metrics, ready=ready, stop=stop)


async def _say(front: Front) -> None:
    """A line for each worker: what it serves, on which device, with how much memory."""
    for one in await front.state():
        devices = ", ".join(f"{on.device} ({on.name}, {on.free >> 20} MiB free)" for on in one.devices)
        _log.info(
            "worker %s, process %d: %s on %s, %d MiB resident",
            *(one.worker, one.pid, ", ".join(one.models), devices or "a device of llama.cpp's"),
            one.resident >> 20,
        )


async def _started(front: Front, stop: asyncio.Event) -> bool:
    """Start the front; False where we were told to stop before it was, and it is stopped again."""
    starting, stopped = asyncio.ensure_future(front.start()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            return True
        return False
    finally:
        stopped.cancel()
        starting.cancel()
        await asyncio.wait((starting,))


async def plans(settings: EngineSettings) -> Sequence[WorkerPlan]:
    """One for each device, with all models; one for each GGUF file. Raises `ModelError`."""
    specs = [(text, Spec.parse(text)) for text in settings.models]
    files = [text for text, spec in specs if spec.kind == "text" and gguf_of(spec.name)]
    others = tuple(one for one in settings.models if one not in files)
    common = WorkerPlan(
        models=others,
        listen="",
        dtype=settings.dtype,
        threads=settings.threads,
        batch=settings.batch,
        queue=settings.queue,
        memory=settings.memory << 20,
        start_seconds=settings.start_seconds,
        safety=settings.safety,
    )
    if others:
        need("models", "torch", "transformers")
    if files:
        need("llamacpp", "xllamacpp")
    devices = await named(settings.device)
    return [
        *(common.model_copy(update={"device": device}) for device in devices if others),
        *(common.model_copy(update={"models": (one,), "device": devices[0], "llama": True}) for one in files),
        *(common.model_copy(update={"device": devices[0], **one}) for one in _light(settings)),
    ]


def _light(settings: EngineSettings) -> Sequence[dict[str, Any]]:
    """What plans of light engines have of their own. Raises `ConfigError`."""
    for model, file in settings.light.items():
        if f"text={model}" not in settings.models:
            raise ConfigError(f"light.{model}", f"the engine does not serve text={model}; add it to models")
        if gguf_of(file) is None:
            raise ConfigError(
                f"light.{model}", f"{file} is neither a GGUF file nor prepared: ranvier models prepare {file}"
            )
    if settings.light:
        need("llamacpp", "xllamacpp")
    return [
        {"models": (f"text={file}",), "llama": True, "batch": FEW, "light_of": model}
        for model, file in settings.light.items()
    ]


def _address(one: UpstreamSettings) -> Address:
    key = None
    if one.key_env and not (key := os.environ.get(one.key_env)):
        raise ConfigError(
            "upstreams.key_env", f"the environment has no {one.key_env} (the key for {one.endpoint})"
        )
    return Address(
        one.endpoint,
        one.capacity,
        key,
        one.seeded,
        one.logprobs,
        model=one.model,
        name=one.name,
        digest=one.digest,
    )
