"""What the front shows at /metrics: the engines behind it, and the pages of its own workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from ranvier.engines.usage import usage_of

if TYPE_CHECKING:
    from prometheus_client import Metric

    from ranvier.engines.serving import Serving
    from ranvier.engines.upstream.process import WorkerProcess
    from ranvier.engines.upstream.upstream import Upstream

_STATES: Final[Mapping[str, tuple[str, Callable[[Upstream], float]]]] = {
    "up": ("1 where the engine answers", lambda one: float(one.up)),
    "running": ("requests that the engine has now", lambda one: float(one.running)),
    "seconds": ("mean time of a request, smoothed", lambda one: one.seconds),
}


class UpstreamMeter:
    """Counters of the front."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._failures = Counter(
            "ranvier_engine_upstream_failures",
            "requests that an engine behind the front failed at or refused; invalid: the request is to blame",
            ("upstream", "invalid"),
            registry=self.registry,
        )
        self.restarts = Counter(
            "ranvier_engine_worker_restarts",
            "worker processes that died and were started again",
            ("worker",),
            registry=self.registry,
        )

    def watch(
        self,
        upstreams: Callable[[], Sequence[Upstream]],
        pools: Callable[[], Sequence[Serving]],
        workers: Callable[[], Sequence[WorkerProcess]],
    ) -> None:
        """Show the state of these with every look at the page."""
        self.registry.register(_States(upstreams, pools))
        self.registry.register(_Processes(workers))

    def failed(self, upstream: str, *, invalid: bool) -> None:
        """Count one."""
        self._failures.labels(upstream, str(invalid).lower()).inc()

    def page(self, workers: Sequence[tuple[str, bytes]]) -> bytes:
        """In Prometheus' text format: ours, and those of workers (name, page) under their names."""
        joined = CollectorRegistry()
        joined.register(_Pages(workers))
        return generate_latest(self.registry) + generate_latest(joined)


class _States(Collector):
    def __init__(
        self, upstreams: Callable[[], Sequence[Upstream]], pools: Callable[[], Sequence[Serving]]
    ) -> None:
        self._upstreams, self._pools = upstreams, pools

    def collect(self) -> Iterator[Metric]:
        queue = GaugeMetricFamily(
            "ranvier_engine_front_waiting",
            "requests that no engine has room for yet",
            labels=["kind", "model"],
        )
        for pool in self._pools():
            queue.add_metric([pool.info.kind, pool.info.id], pool.waiting)
        yield queue
        served = CounterMetricFamily(
            "ranvier_engine_upstream_requests", "requests that an engine was given", labels=["upstream"]
        )
        wrote = CounterMetricFamily(
            "ranvier_engine_upstream_tokens", "tokens of the answers that it gave", labels=["upstream"]
        )
        for one in self._upstreams():
            served.add_metric([one.label], one.served)
            wrote.add_metric([one.label], one.tokens)
        yield served
        yield wrote
        for name, (text, value) in _STATES.items():
            yield _gauge(name, text, [(one.label, value(one)) for one in self._upstreams()])


def _gauge(name: str, text: str, values: Sequence[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(f"ranvier_engine_upstream_{name}", text, labels=["upstream"])
    for label, value in values:
        family.add_metric([label], value)
    return family


class _Processes(Collector):
    """Worker processes as the kernel counts them: also those that have no page of their own."""

    def __init__(self, workers: Callable[[], Sequence[WorkerProcess]]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        held = GaugeMetricFamily(
            "ranvier_engine_worker_bytes",
            "system memory of a worker process: resident now, peak",
            labels=["worker", "state"],
        )
        spent = CounterMetricFamily(
            "ranvier_engine_worker_cpu_seconds", "processor time of a worker process", labels=["worker"]
        )
        for one in self._workers():
            if (used := usage_of(one.pid)) is not None:
                held.add_metric([one.name, "resident"], used.resident)
                held.add_metric([one.name, "peak"], used.peak)
                spent.add_metric([one.name], used.cpu_seconds)
        yield held
        yield spent


class _Pages(Collector):
    """Pages of several processes as one: families of the same name joined, each sample with its worker."""

    def __init__(self, pages: Sequence[tuple[str, bytes]]) -> None:
        self._pages = pages

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for worker, page in self._pages:
            for family in _families(page):
                kept = found.setdefault(family.name, family)
                samples = [one._replace(labels={**one.labels, "worker": worker}) for one in family.samples]
                kept.samples = samples if kept is family else kept.samples + samples
        yield from found.values()


def _families(page: bytes) -> Iterable[Metric]:
    parse: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
    return parse(page.decode())
