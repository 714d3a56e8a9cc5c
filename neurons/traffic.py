"""What a node's calls took, heard from their timelines, for /metrics.

Nothing that a peer chose becomes a label: names come from our own tables, and hotkeys are counted, never named.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from ranvier.neurons.metrics import Distribution, Measures
from ranvier.protocol import Axon, Code, Dendrite, Timeline

MOST_CALLERS: Final = 4096
_GROWING: Final = {
    "cut_off": "connections_cut_total",
    "broken": "broken_total",
    "jobs_unread": "jobs_unread_total",
    "prekeys": "prekeys_total",
}
"""Counters among the fields of `Load`."""


class ServedCalls:
    """The requests of one axon. Give `hear` to it as its observer."""

    def __init__(self) -> None:
        self._queue, self._answer, self._request = Distribution(), Distribution(), Distribution()
        self._callers: set[str] = set()

    def hear(self, timeline: Timeline) -> None:
        """Count one request, or the work of one long job."""
        started, handled = timeline.at("started"), timeline.at("handled")
        if started is not None:
            waited_since = timeline.at("admitted") or timeline.marks[0][1]
            self._queue.observe(started - waited_since)
            self._answer.observe((handled or timeline.marks[-1][1]) - started)
            if len(self._callers) < MOST_CALLERS:
                self._callers.add(timeline.peer)
        if timeline.at("sent") is not None:
            self._request.observe(timeline.total)

    def measures(self, axon: Axon) -> Measures:
        """All that is known of the axon's traffic."""
        held = {_GROWING.get(name, name): float(value) for name, value in asdict(axon.load()).items()}
        figures = {
            "received_bytes_total": float(axon.received),
            "sent_bytes_total": float(axon.sent),
            "callers": float(len(self._callers)),
            **held,
        }
        # Shown from the start, at zero: an alert on what never happened needs something to look at.
        counts = {
            "requests_total": {end: float(axon.stats[end]) for end in ("answered", "cut", *Code)},
            "jobs_total": {end: float(axon.job_endings[end]) for end in ("answered", "cancelled", *Code)},
        }
        times = {
            "queue_seconds": self._queue,
            "answer_seconds": self._answer,
            "request_seconds": self._request,
        }
        return Measures(figures, counts, times)


class AskedCalls:
    """The calls of one dendrite. Give `hear` to it as its observer."""

    def __init__(self) -> None:
        self._call = Distribution()
        self._dendrite: Dendrite | None = None

    def of(self, dendrite: Dendrite) -> None:
        """Whose calls they are."""
        self._dendrite = dendrite

    def hear(self, timeline: Timeline) -> None:
        """Count one call."""
        self._call.observe(timeline.total)

    def measures(self) -> Measures:
        """All that is known of the dendrite's traffic; nothing before there is one."""
        dendrite = self._dendrite
        if dendrite is None:
            return Measures()
        opened, reused = dendrite.connections
        figures = {
            "received_bytes_total": float(dendrite.received),
            "sent_bytes_total": float(dendrite.sent),
            "connections_opened_total": float(opened),
            "connections_reused_total": float(reused),
        }
        ends = ("answered", "invalid", "timed-out", "unreachable", "other", *Code)
        counts = {"calls_total": {end: float(dendrite.endings[end]) for end in ends}}
        return Measures(figures, counts, {"call_seconds": self._call})
