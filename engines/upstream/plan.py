"""What a worker process is to serve."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WorkerPlan(BaseModel):
    """Given to the process as JSON; see `ranvier.engines.child`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...]
    listen: str
    device: str = "cpu"
    dtype: str = ""
    threads: int = 0
    batch: int = 16
    queue: int = 128
    memory: int = 0
    """Bytes of data that the process may have; 0: no bound of ours."""
    start_seconds: float = 900.0
    """For loading the models; then the process is ended."""
    safety: bool = True
    llama: bool = False
    """It serves one GGUF file with llama.cpp."""
    light_of: str = ""
    """The model whose light engine it is."""


class WorkerReady(BaseModel):
    """The one line that the process says: where it serves, or why it does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = ""
    api_key: str | None = Field(default=None, repr=False)
    error: str = ""
    kind: str = ""
    """The class of that error."""
