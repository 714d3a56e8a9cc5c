"""What an engine server serves from: one served model, and all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ranvier.engines.models import ModelInfo
from ranvier.engines.states import WorkerState


class Serving(Protocol):
    """One model that is served, wherever it runs."""

    @property
    def info(self) -> ModelInfo:
        """What is declared of it."""

    @property
    def waiting(self) -> int:
        """Requests in its queue."""

    async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
        """Carry out a request of the kind ``batch``: generate, score, image, classify or embed.

        Raises `Full`, `Stopped`, `NoRoom`, `NoUpstream`, ValueError for a request that is not valid, or what the model
        raised.
        """


class Host(Protocol):
    """Models, in this process or elsewhere."""

    @property
    def serving(self) -> Sequence[Serving]:
        """What is served now, the first of a kind being the one for requests that name no model."""

    @property
    def pending(self) -> str:
        """Why more may be served later; empty where that is not so."""

    async def state(self) -> Sequence[WorkerState]:
        """The processes of this machine that serve, with their devices and memory."""

    async def page(self) -> bytes:
        """Metrics in Prometheus' text format."""

    async def stop(self) -> None:
        """Finish what runs."""
