"""/metrics and /health of the nodes in one process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric as Family

from ranvier.neurons.errors import PortOccupied
from ranvier.neurons.metrics import Families, Measures


@dataclass(frozen=True, slots=True)
class Health:
    """``degraded`` holds a reason for everything that does not work as it should; empty is well."""

    role: str
    hotkey: str
    netuid: int
    degraded: tuple[str, ...] = ()
    measures: Measures = field(default_factory=Measures)


class Observed(Protocol):
    """A node that can be looked at."""

    def health(self) -> Health:
        """The present state."""
        ...


class _Collector:
    def __init__(self, nodes: Sequence[Observed]) -> None:
        self._nodes = nodes

    def collect(self) -> Iterable[Family]:
        """All figures of all nodes; called by the registry for each scrape."""
        families = Families()
        for node in self._nodes:
            health = node.health()
            own = health.hotkey, str(health.netuid)
            state = {"up": 1.0, "degraded": float(bool(health.degraded))}
            families.add(health.role, own, Measures(state))
            families.add(health.role, own, health.measures)
        return families


class HealthServer:
    """Serves the pages; ``async with`` it around the nodes. Port 0 in the settings means it is not used at all.

    ``/health/live`` is 200 while the event loop runs, ``/health`` 503 while anything is degraded, with the reasons.
    """

    def __init__(self, nodes: Sequence[Observed], host: str, port: int) -> None:
        self._nodes, self._host, self._port = nodes, host, port
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(nodes))
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._runner is not None
        return int(self._runner.addresses[0][1])

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health", self._health)
        app.router.add_get("/health/live", self._live)
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise PortOccupied(self._host, self._port, "the metrics server") from error
        self._runner = runner
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _health(self, _: web.Request) -> web.Response:
        """Alive whenever it answers; 503 where any node is degraded, with the reasons."""
        states = [node.health() for node in self._nodes]
        nodes = [
            {
                "role": state.role,
                "hotkey": state.hotkey,
                "netuid": state.netuid,
                "degraded": list(state.degraded),
            }
            for state in states
        ]
        status = 503 if any(state.degraded for state in states) else 200
        return web.json_response({"alive": True, "degraded": status == 503, "nodes": nodes}, status=status)
