"""What an engine's processes hold now: told at /v1/ranvier/info and /health, counted at /metrics."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from ranvier.engines.usage import usage_of


class State(BaseModel):
    """Base: immutable, unknown keys refused. Sizes are bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeviceState(State):
    """One device as a worker sees it; ``allocated``, ``reserved`` and ``peak`` are that worker's own, on a GPU."""

    device: str
    name: str
    total: int
    free: int
    allocated: int = 0
    reserved: int = 0
    """Taken from the device, in use or kept for the next tensor."""
    peak: int = 0
    """The most that was ever allocated."""


class WorkerState(State):
    """One process. ``resident`` counts weights in mapped files, too, which several processes share."""

    worker: str
    pid: int
    models: tuple[str, ...]
    devices: tuple[DeviceState, ...] = ()
    resident: int = 0
    peak: int = 0
    cpu_seconds: float = 0.0


def state_of(
    worker: str, pid: int, models: tuple[str, ...], devices: tuple[DeviceState, ...] = ()
) -> WorkerState:
    """With what the kernel counts of the process; zeros where it counts nothing."""
    used = usage_of(pid)
    if used is None:
        return WorkerState(worker=worker, pid=pid, models=models, devices=devices)
    return WorkerState(
        worker=worker,
        pid=pid,
        models=models,
        devices=devices,
        resident=used.resident,
        peak=used.peak,
        cpu_seconds=used.cpu_seconds,
    )
