"""llama.cpp as a worker: its own server on loopback, reached as any other OpenAI-compatible one."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from ranvier.engines.errors import MissingExtra, ModelNotFound
from ranvier.engines.load import Spec
from ranvier.engines.store import Store
from ranvier.engines.upstream.plan import WorkerPlan, WorkerReady

SUFFIX: Final = ".gguf"
CONTEXT: Final = 2048
"""Tokens of prompt and answer that each of the requests at once may have."""


def gguf_of(name: str, store: Store | None = None) -> Path | None:
    """The file of a prepared GGUF model, or the path of one; None for what is none."""
    if name.endswith(SUFFIX):
        return Path(name).expanduser()
    kept = store or Store()
    return next(iter(kept.path(name).glob(f"*{SUFFIX}")), None) if kept.has(name) else None


async def serve(
    plan: WorkerPlan, ready: Callable[[WorkerReady], None], ended: Callable[[], Awaitable[None]]
) -> None:
    """Serve one GGUF file until ``ended``. Raises `ModelError`."""
    server, key = _started(plan)
    ready(WorkerReady(endpoint=server.listening_address, api_key=key))
    await ended()


def _started(plan: WorkerPlan) -> tuple[Any, str]:
    """The server and its key: its port is open to everybody on this machine, its answers are not."""
    try:
        import xllamacpp
    except ModuleNotFoundError as error:
        raise MissingExtra("llamacpp", "xllamacpp") from error
    name = Spec.parse(plan.models[0]).name
    path = gguf_of(name)
    if path is None or not path.is_file():
        raise ModelNotFound(name, "no such file", "Name a GGUF file: text=/path/model.gguf.")
    params, key = xllamacpp.CommonParams(), secrets.token_hex(16)
    alias = path.stem if name.endswith(SUFFIX) else name
    params.model.path, params.model_alias = str(path), {alias}
    params.api_keys = [key]
    params.n_parallel, params.n_ctx = plan.batch, CONTEXT * plan.batch
    if plan.threads:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = plan.threads
    params.n_gpu_layers = 0 if plan.device == "cpu" else -1
    # What a request does not ask for is not done, as with the other engines.
    params.sampling.top_k, params.sampling.min_p, params.sampling.top_p = 0, 0.0, 1.0
    params.warmup, params.cont_batching, params.verbosity = True, True, 1
    try:
        return xllamacpp.Server(params), key
    except RuntimeError as error:
        raise ModelNotFound(name, str(error), "Name a GGUF file that this llama.cpp reads.") from error
