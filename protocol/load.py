"""What an axon holds at one moment, for metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Counts of now; those that only grow say so."""

    connections: int
    cut_off: int
    """Grows: connections that were closed because no admitted request came on them in time."""
    broken: int
    """Grows: requests that were no HTTP."""
    running: int
    """Requests whose handlers run."""
    waiting: int
    """Admitted requests that wait for a turn."""
    jobs_running: int
    """Long jobs that have not ended; those that wait for a turn are among them."""
    jobs_kept: int
    """Results of long jobs that may still be read."""
    jobs_bytes: int
    """Size of those results."""
    jobs_unread: int
    """Grows: results that were forgotten before anybody had read them."""
    threads: int
    """Threads of blocking handlers, busy or not."""
    threads_busy: int
    threads_waiting: int
    """Blocking handlers that wait for a thread."""
    threads_abandoned: int
    """Threads whose caller has left, or whose deadline has passed, and whose handler has not noticed."""
    prekeys: int
    """Grows: prekeys made since the start."""
