"""What an engine shows at /metrics: requests by their end, time, batches, tokens, queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from ranvier.engines.errors import NoRoom
from ranvier.engines.gpu import device_state
from ranvier.engines.models import ModelInfo
from ranvier.engines.rate import Rate
from ranvier.engines.worker import Full, Stopped

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
BOUNDS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Upper bounds of the histogram's buckets, seconds."""
End = Literal["done", "refused", "invalid", "failed", "left"]
_OWN: Final = ("kind", "model")


class EngineMeter:
    """All counters of one engine. Every name begins with ``ranvier_engine_``; `of` gives a model's own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter(
            "requests",
            "requests by their end: done, refused (no place in the queue), invalid, failed, left by the caller",
            "end",
        )
        self.seconds = Histogram(
            "ranvier_engine_request_seconds",
            "time of a finished request, waiting and running",
            _OWN,
            buckets=BOUNDS,
            registry=self.registry,
        )
        self.busy = self._counter("busy_seconds", "time that the model ran")
        self.batches = self._counter("batches", "batches that ran")
        self.batched = self._counter("batched_requests", "requests in those batches")
        self.tokens = self._counter("tokens", "tokens that a text model wrote")
        self.waiting = self._gauge("waiting", "requests in the queue")
        self.running = self._gauge("running", "requests in the batch that runs now")
        self.pace = self._gauge(
            "tokens_per_second", "tokens that a text model writes, the mean of the last ten seconds"
        )
        self.devices = Devices(self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"ranvier_engine_{name}", text, _OWN, registry=self.registry)

    def _counter(self, name: str, text: str, *more: str) -> Counter:
        return Counter(f"ranvier_engine_{name}", text, (*_OWN, *more), registry=self.registry)

    def of(
        self, info: ModelInfo, waiting: Callable[[], int], running: Callable[[], int] = lambda: 0
    ) -> ModelMeter:
        """The counters of one model; ``waiting`` and ``running`` are asked for with every look at the page."""
        self.waiting.labels(info.kind, info.id).set_function(waiting)
        self.running.labels(info.kind, info.id).set_function(running)
        return ModelMeter(self, info)

    def page(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)


class ModelMeter:
    """Counts for one model, from any thread."""

    def __init__(self, meter: EngineMeter, info: ModelInfo) -> None:
        own = info.kind, info.id
        self._requests, self._own = meter.requests, own
        self._seconds, self._busy = meter.seconds.labels(*own), meter.busy.labels(*own)
        self._batches, self._batched = meter.batches.labels(*own), meter.batched.labels(*own)
        self._tokens = meter.tokens.labels(*own) if info.kind == "text" else None
        self._pace = Rate()
        if info.kind == "text":
            meter.pace.labels(*own).set_function(self._pace.value)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Around one request: counts how it ends."""
        started = time.perf_counter()
        end: End = "failed"
        try:
            yield
            end = "done"
            self._seconds.observe(time.perf_counter() - started)
        except (Full, NoRoom, Stopped):
            end = "refused"
            raise
        except ValueError:
            end = "invalid"
            raise
        except asyncio.CancelledError:
            end = "left"
            raise
        finally:
            self._requests.labels(*self._own, end).inc()

    @contextmanager
    def batch(self, jobs: int) -> Iterator[None]:
        """Around one batch."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._busy.inc(time.perf_counter() - started)
            self._batches.inc()
            self._batched.inc(jobs)

    def joined(self, jobs: int) -> None:
        """Requests that joined a batch which goes on; several at once count as one batch."""
        self._batches.inc(jobs > 0)
        self._batched.inc(jobs)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around one step of a batch which goes on."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._busy.inc(time.perf_counter() - started)

    def wrote(self, tokens: int) -> None:
        """Tokens of a text model."""
        if self._tokens is not None:
            self._tokens.inc(tokens)
            self._pace.add(tokens)


class Devices(Collector):
    """The memory of the devices that `names` lists, with every look at the page."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.names: list[str] = []
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """As registries ask for it."""
        named = GaugeMetricFamily(
            "ranvier_engine_device", "1 for a device that models run on", labels=["device", "name"]
        )
        held = GaugeMetricFamily(
            "ranvier_engine_device_bytes",
            "memory of a device: total, free; on a GPU the worker's own allocated, reserved, peak, too",
            labels=["device", "state"],
        )
        for one in map(device_state, self.names):
            named.add_metric([one.device, one.name], 1)
            for state in STATES if one.device.startswith("cuda") else STATES[:2]:
                held.add_metric([one.device, state], getattr(one, state))
        yield named
        yield held


STATES: Final = ("total", "free", "allocated", "reserved", "peak")
"""The last three are known of a GPU only."""
