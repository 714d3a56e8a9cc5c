"""The timeline of one call: when it reached each step, for whoever looks for where the time goes.

At an axon: ``received`` (its head), ``verified`` (signature), ``admitted`` (door, rate, body read), ``started`` (its
turn in the queue), ``handled`` (the handler's reply), ``sent`` (handed to the socket). A long job's work has a timeline
of its own, from ``received`` to ``kept``. At a dendrite: ``begun``, ``prepared`` (signed), ``head`` (the response's),
``whole`` (its body), ``verified``. Steps not reached are missing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

from ranvier.protocol.errors import Refusal

Side = Literal["axon", "dendrite"]

TIMELINE_LOG: Final = logging.getLogger(__name__)
"""At DEBUG it says one line for each call."""


class Timeline:
    """Marks of one call, in seconds of a monotonic clock, in the order in which they were made."""

    __slots__ = ("ending", "marks", "peer", "side", "synapse")

    def __init__(self, side: Side, first: str) -> None:
        self.side: Side = side
        self.synapse = ""
        """What was asked for; empty until it is known to be served here, so its values are few."""
        self.peer = ""
        """The other side's hotkey, once it is proven (axon) or meant (dendrite)."""
        self.ending = ""
        """``answered``, or a refusal's code. At an axon also ``left`` (its caller did), ``cut``, ``prekey``,
        ``cancelled``, and ``job`` with its state; at a dendrite also the kind of outcome.
        """
        self.marks: list[tuple[str, float]] = [(first, time.perf_counter())]

    def mark(self, step: str) -> None:
        """The call has reached ``step``."""
        self.marks.append((step, time.perf_counter()))

    def at(self, step: str) -> float | None:
        """When it reached ``step``."""
        return next((when for name, when in self.marks if name == step), None)

    def between(self, first: str, second: str) -> float | None:
        """Seconds from one step to another; None where one of them was not reached."""
        begin, end = self.at(first), self.at(second)
        return None if begin is None or end is None else end - begin

    @property
    def total(self) -> float:
        """Seconds from the first mark to the last."""
        return self.marks[-1][1] - self.marks[0][1]

    def __str__(self) -> str:
        """``axon Echo of 5Grw... answered: verified 0.3, ... = 4.2 ms``: each step from the one before."""
        pairs = zip(self.marks, self.marks[1:], strict=False)
        steps = ", ".join(f"{name} {(when - before) * 1000:.2f}" for (_, before), (name, when) in pairs)
        link = "of" if self.side == "axon" else "to"
        who = f" {link} {self.peer}" if self.peer else ""
        return f"{self.side} {self.synapse or '?'}{who} {self.ending}: {steps} = {self.total * 1000:.2f} ms"


Observer = Callable[[Timeline], None]
"""Hears every finished call. It runs on the loop: keep it short; what it raises is logged and goes no further."""


class Timelines:
    """Begins and ends timelines where anybody listens; costs next to nothing where nobody does."""

    __slots__ = ("_first", "_side", "observer")

    def __init__(self, side: Side, first: str, observer: Observer | None) -> None:
        self._side: Side = side
        self._first, self.observer = first, observer

    def begin(self) -> Timeline | None:
        """A timeline, if it will be heard."""
        if self.observer is None and not TIMELINE_LOG.isEnabledFor(logging.DEBUG):
            return None
        return Timeline(self._side, self._first)

    @contextmanager
    def job(self, synapse: str, peer: str) -> Iterator[Timeline | None]:
        """The timeline of a long job's work, told at its end."""
        timeline = self.begin()
        if timeline is None:
            yield None
            return
        timeline.synapse, timeline.peer, timeline.ending = synapse, peer, "cancelled"
        try:
            yield timeline
        except Refusal as refusal:
            timeline.ending = refusal.code.value
            raise
        finally:
            timeline.mark("kept")
            self.end(timeline)

    def end(self, timeline: Timeline) -> None:
        """Tell it."""
        TIMELINE_LOG.debug("%s", timeline)
        if self.observer is None:
            return
        try:
            self.observer(timeline)
        except Exception:  # noqa: BLE001 - an observer's fault must not become the caller's
            TIMELINE_LOG.exception("the observer of timelines failed")
