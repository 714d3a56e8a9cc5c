"""Every figure that a node shows at /metrics: its name, kind and meaning in one table, and what carries a value."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family

Kind = Literal["gauge", "counter", "histogram"]
BOUNDS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Upper bounds of the histograms' buckets, seconds."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a name stands for. `label` is the one label beside hotkey and netuid; its values are few and known."""

    kind: Kind
    help: str
    label: str | None = None


_BOTH: Final = {
    "up": Metric("gauge", "1 while the process answers"),
    "degraded": Metric("gauge", "1 while /health names a reason"),
    "block": Metric("gauge", "newest block that was heard of"),
    "block_age_seconds": Metric("gauge", "seconds since a block was heard of"),
    "metagraph_age_blocks": Metric("gauge", "blocks since the metagraph was read"),
    "chain_failures_total": Metric("counter", "readings of the chain that failed"),
    "chain_read_seconds": Metric("histogram", "time of reading the metagraph, or of failing to"),
    "registered": Metric("gauge", "1 while the hotkey has a uid"),
    "stake_rao": Metric("gauge", "stake of the hotkey"),
    "emission_rao": Metric("gauge", "emission of the last epoch"),
}
METRICS: Final[Mapping[str, Metric]] = {
    **{f"miner_{name}": metric for name, metric in _BOTH.items()},
    "miner_requests_total": Metric("counter", "requests by their end: answered, or a refusal's code", "code"),
    "miner_request_seconds": Metric(
        "histogram", "time from a request's head to its reply's last byte, refusals too"
    ),
    "miner_queue_seconds": Metric("histogram", "time that an admitted request waited for its turn"),
    "miner_answer_seconds": Metric("histogram", "time of the miner's own code for one request or long job"),
    "miner_connections": Metric("gauge", "open connections"),
    "miner_connections_cut_total": Metric(
        "counter", "connections closed because no admitted request came in time"
    ),
    "miner_broken_total": Metric("counter", "requests that were no HTTP"),
    "miner_jobs_total": Metric(
        "counter", "long jobs by their end: answered, cancelled, or a refusal's code", "code"
    ),
    "miner_jobs_running": Metric("gauge", "long jobs that have not ended"),
    "miner_jobs_kept": Metric("gauge", "results of long jobs that may still be read"),
    "miner_jobs_bytes": Metric("gauge", "size of the results that are kept"),
    "miner_jobs_unread_total": Metric("counter", "results that were forgotten before anybody had read them"),
    "miner_threads": Metric("gauge", "threads of blocking handlers, busy or not"),
    "miner_threads_busy": Metric("gauge", "of those, busy"),
    "miner_threads_waiting": Metric("gauge", "blocking handlers that wait for a thread"),
    "miner_threads_abandoned": Metric("gauge", "blocking handlers that go on though nobody waits for them"),
    "miner_prekeys_total": Metric("counter", "prekeys made for sealed requests"),
    "miner_received_bytes_total": Metric("counter", "bodies of requests, admitted or not"),
    "miner_sent_bytes_total": Metric("counter", "bodies of replies and refusals"),
    "miner_running": Metric("gauge", "requests being answered"),
    "miner_waiting": Metric("gauge", "admitted requests that wait for a turn"),
    "miner_callers": Metric("gauge", "different hotkeys whose requests were run since the start, up to 4096"),
    "miner_published": Metric("gauge", "1 while the chain shows the address that is served"),
    "miner_incentive": Metric("gauge", "share of incentive in the last epoch, 0 to 1"),
    **{f"validator_{name}": metric for name, metric in _BOTH.items()},
    "validator_rounds_total": Metric("counter", "rounds by their end: done or void", "status"),
    "validator_round": Metric("gauge", "number of the newest round"),
    "validator_round_seconds": Metric("gauge", "length of the newest round"),
    "validator_calls_total": Metric(
        "counter", "calls by their end: answered, a refusal's code, or a failure", "code"
    ),
    "validator_call_seconds": Metric("histogram", "time of one call of a miner, however it ended"),
    "validator_received_bytes_total": Metric("counter", "bodies of replies that were answers"),
    "validator_sent_bytes_total": Metric("counter", "bodies of requests"),
    "validator_connections_opened_total": Metric("counter", "connections to miners"),
    "validator_connections_reused_total": Metric("counter", "requests that found a connection open"),
    "validator_miners_asked": Metric("gauge", "miners asked in the newest round"),
    "validator_miners_answered": Metric("gauge", "of those, who answered"),
    "validator_miners_verified": Metric("gauge", "of those, whose answer was audited and right"),
    "validator_weights_total": Metric("counter", "epochs by how setting weights ended", "landing"),
    "validator_weights_attempts_total": Metric("counter", "tries to send weights"),
    "validator_weights_epoch": Metric("gauge", "epoch (block of its first step) of the newest weights"),
    "validator_weights_age_blocks": Metric(
        "gauge", "blocks since the chain took weights of the hotkey, or registered it; alarm above two tempos"
    ),
    "validator_promises": Metric("gauge", "promised weights that wait to be revealed"),
    "validator_permit": Metric("gauge", "1 while the hotkey may set weights"),
    "validator_dividends": Metric("gauge", "share of dividends in the last epoch, 0 to 1"),
    "validator_trust": Metric("gauge", "validator trust in the last epoch, 0 to 1"),
}
"""By name without the ``ranvier_`` prefix; docs/operations.md shows the same table."""


class Distribution:
    """A histogram of seconds over `BOUNDS`."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._sum += seconds

    @property
    def sum(self) -> float:
        """All seconds together."""
        return self._sum

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many were no longer), the last one for all."""
        total, found = 0, []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


@dataclass(frozen=True, slots=True)
class Measures:
    """What one node shows: plain figures by name, counts by name and label value, distributions by name."""

    figures: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    distributions: Mapping[str, Distribution] = field(default_factory=dict)

    def __or__(self, other: Measures) -> Measures:
        """Both together; names are of one only."""
        return Measures(
            {**self.figures, **other.figures},
            {**self.counts, **other.counts},
            {**self.distributions, **other.distributions},
        )


class Families:
    """The measures of several nodes as Prometheus families. Raises KeyError for a name that `METRICS` lacks."""

    def __init__(self) -> None:
        self._found: dict[str, Family] = {}

    def __iter__(self) -> Iterator[Family]:
        return iter(self._found.values())

    def add(self, role: str, own: tuple[str, str], measures: Measures) -> None:
        """Add one node's; `own` are its hotkey and netuid."""
        for name, value in measures.figures.items():
            self._family(f"{role}_{name}").add_sample(self._full(f"{role}_{name}"), _labels(own), value)
        for name, counts in measures.counts.items():
            metric = METRICS[f"{role}_{name}"]
            for label, value in counts.items():
                labels = {**_labels(own), metric.label or "": label}
                self._family(f"{role}_{name}").add_sample(self._full(f"{role}_{name}"), labels, value)
        for name, distribution in measures.distributions.items():
            family = self._family(f"{role}_{name}")
            assert isinstance(family, HistogramMetricFamily)
            family.add_metric(list(own), distribution.buckets(), distribution.sum)

    @staticmethod
    def _full(name: str) -> str:
        return f"ranvier_{name}"

    def _family(self, name: str) -> Family:
        metric = METRICS[name]
        if name not in self._found:
            labels = ["hotkey", "netuid", *([metric.label] if metric.label else [])]
            kinds = {
                "gauge": GaugeMetricFamily,
                "counter": CounterMetricFamily,
                "histogram": HistogramMetricFamily,
            }
            self._found[name] = kinds[metric.kind](self._full(name), metric.help, labels=labels)
        return self._found[name]


def _labels(own: tuple[str, str]) -> dict[str, str]:
    return {"hotkey": own[0], "netuid": own[1]}
