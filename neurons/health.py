"""/metrics and /health of the nodes in one process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ranvier.neurons.errors import PortOccupied


@dataclass(frozen=True, slots=True)
class Health:
    """``degraded`` holds a reason for everything that does not work as it should; empty is well."""

    role: str
    hotkey: str
    netuid: int
    degraded: tuple[str, ...] = ()
    gauges: Mapping[str, float] = field(default_factory=dict)
    """Figures by metric name without the ``ranvier_`` prefix."""


class Observed(Protocol):
    """A node that can be looked at."""

    def health(self) -> Health:
        """The present state."""
        ...


class _Collector:
    def __init__(self, nodes: Sequence[Observed]) -> None:
        self._nodes = nodes

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All gauges of all nodes; called by the registry for each scrape."""
        families: dict[str, GaugeMetricFamily] = {}
        for node in self._nodes:
            health = node.health()
            for name, value in _gauges(health):
                family = families.setdefault(
                    name,
                    GaugeMetricFamily(f"ranvier_{name}", name.replace("_", " "), labels=["hotkey", "netuid"]),
                )
                family.add_metric([health.hotkey, str(health.netuid)], value)
        return families.values()


def _gauges(health: Health) -> Iterator[tuple[str, float]]:
    yield f"{health.role}_up", 1.0
    yield f"{health.role}_degraded", float(bool(health.degraded))
    for name, value in health.gauges.items():
        yield f"{health.role}_{name}", value


class HealthServer:
    """Serves both pages; ``async with`` it around the nodes. Port 0 in the settings means it is not used at all."""

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

    async def _health(self, _: web.Request) -> web.Response:
        """Alive whenever it answers; 503 where any node is degraded, with the reasons."""
        states = [node.health() for node in self._nodes]
        degraded = {state.hotkey: list(state.degraded) for state in states if state.degraded}
        status = 503 if degraded else 200
        return web.json_response(
            {"alive": True, "degraded": degraded, "nodes": [state.hotkey for state in states]}, status=status
        )
