"""A worker process: ``python -m ranvier.engines.child`` reads a plan and serves its models until its input ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from ranvier.engines import memory
from ranvier.engines.errors import EngineError
from ranvier.engines.upstream.plan import WorkerPlan, WorkerReady
from ranvier.engines.upstream.spare import WARM

if TYPE_CHECKING:
    from ranvier.engines.serving import Host

FIRST_TO_DIE: Final = "600"
"""Where memory runs out, the kernel ends a worker before a neuron (-1000 to 1000)."""


async def _serve(host: Host, plan: WorkerPlan, say: TextIO, parent: _Parent) -> None:
    """Until standard input ends: the parent closed it, or is no more."""
    from ranvier.engines.server import EngineServer

    server = EngineServer(host)
    try:
        _say(say, WorkerReady(endpoint=await server.start(plan.listen)))
        await parent.gone()
    finally:
        await server.stop()


class _Parent:
    """The process that started us, by the pipe to our standard input."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gone = asyncio.Event()
        threading.Thread(target=self._wait, name="parent", daemon=True).start()

    def _wait(self) -> None:
        while os.read(0, 4096):  # not through a buffer, whose lock would outlive the interpreter
            pass
        if self._loop is None:
            os._exit(1)  # nobody waits any more for what is being loaded
        self._loop.call_soon_threadsafe(self._gone.set)

    async def gone(self) -> None:
        """Wait until it closed the pipe, or is no more. Before this is called, its end is ours at once."""
        self._loop = asyncio.get_running_loop()
        await self._gone.wait()


def _say(out: TextIO, ready: WorkerReady) -> None:
    out.write(ready.model_dump_json() + "\n")
    out.flush()


def _load(plan: WorkerPlan) -> Host:
    from transformers.utils.logging import disable_progress_bar

    from ranvier.engines.load import Loader, Spec
    from ranvier.engines.local import LocalHost

    most = plan.memory or memory.UNKNOWN
    loader = Loader(device=plan.device, dtype=plan.dtype or None, safety=plan.safety, memory=most)
    if plan.threads:
        import torch

        torch.set_num_threads(plan.threads)
    disable_progress_bar()
    specs = [Spec.parse(text) for text in plan.models]
    if any(one.kind == "image" for one in specs):
        from diffusers.utils.logging import disable_progress_bar as disable_that_of_diffusers

        disable_that_of_diffusers()
    models = loader.load(specs)
    return LocalHost(models, max_batch=plan.batch, max_queue=plan.queue)


def _warm() -> None:
    """Import what takes most of a start; the model itself is the plan's."""
    import torch  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401
    from transformers.models.llama import modeling_llama  # noqa: F401  what most architectures import in turn

    from ranvier.engines import load, local, server  # noqa: F401
    from ranvier.engines.text import kernel, model  # noqa: F401

    if kernel.ABLE:
        from ranvier.engines.text import floats  # noqa: F401  which imports numba


def main() -> int:
    """Serve what the first line of standard input names; with ``--warm`` be prepared before it comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # not everywhere, not everybody
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_DIE)
    say = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    if WARM in sys.argv:
        _warm()
    if not (line := sys.stdin.readline()):  # our parent ended before it needed us
        return 0
    plan, parent = WorkerPlan.model_validate_json(line), _Parent()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s worker: %(message)s")
    try:
        if plan.llama:
            from ranvier.engines.llama import serve

            if plan.memory:
                memory.limit(plan.memory)
            asyncio.run(serve(plan, lambda ready: _say(say, ready), parent.gone))
        else:
            host = _load(plan)
            if (
                plan.memory
            ):  # only now: libraries that get no memory while they are imported end without a word
                memory.check(plan.memory)
                memory.limit(plan.memory)
            asyncio.run(_serve(host, plan, say, parent))
    except EngineError as error:
        _say(say, WorkerReady(error=str(error), kind=type(error).__name__))
        return 1
    except Exception as error:  # libraries that load models raise anything; our parent gets the reason
        logging.getLogger(__name__).exception("the models cannot be served")
        _say(say, WorkerReady(error=f"{', '.join(plan.models)}: {type(error).__name__}: {error}"[:1000]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
