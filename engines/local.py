"""Models that run in this process, each in a thread of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ranvier.engines.gpu import device_state
from ranvier.engines.meter import EngineMeter
from ranvier.engines.served import Served
from ranvier.engines.states import WorkerState, state_of


class LocalHost:
    """Loaded models; see `ranvier.engines.serving.Host`."""

    pending = ""

    def __init__(self, models: Sequence[Any], *, max_batch: int = 16, max_queue: int = 128) -> None:
        self._meter = EngineMeter()
        self._meter.devices.names = sorted({model.info.device for model in models})
        self.serving = [
            Served(model, self._meter, max_batch=max_batch, max_queue=max_queue) for model in models
        ]

    async def state(self) -> Sequence[WorkerState]:
        """The own process, under no name."""
        models = tuple(f"{one.info.kind}={one.info.id}" for one in self.serving)
        devices = tuple(map(device_state, self._meter.devices.names))
        return [state_of("", os.getpid(), models, devices)]

    async def page(self) -> bytes:
        """Counters of all models."""
        return self._meter.page()

    async def stop(self) -> None:
        """Finish the running batches, fail what waits."""
        for one in self.serving:
            await one.worker.stop()
