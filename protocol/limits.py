"""Limits of both sides: bytes, seconds, counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. The defaults suit a public axon of a few requests a second for each caller."""

    max_body: int = 1 << 20
    max_reply: int = 64 << 20
    """Of a dendrite: caps what a synapse declares as its ``max_reply``."""
    max_unverified: int = 16 << 20
    """Of a dendrite: bytes of all replies above 64 KiB that are being received; more of them wait for each other."""
    max_unproven: int = 8 << 20
    """Of an axon: bytes of all bodies above 64 KiB that are being received, at least four times ``max_body``. Beyond it
    whoever sends slowest is refused.
    """
    max_header: int = 8190
    max_connections: int = 512
    idle_timeout: float = 4.0
    """A connection without a complete request head for this long is closed."""
    body_timeout: float = 8.0
    """A request body must have arrived whole within this time."""
    unproven_timeout: float = 9.5
    """A connection without an authenticated request for this long is cut off, whatever else it does."""
    send_timeout: float = 30.0
    """A caller must have read a whole reply within this time; streams have their request's deadline."""
    max_deadline: float = 300.0
    default_deadline: float = 12.0
    max_concurrent: int = 16
    """Handlers that run at the same time."""
    max_queue: int = 256
    """Admitted requests that wait; beyond it whoever would come last is refused."""
    max_per_caller: int = 64
    """Requests of one caller that run or wait."""
    rate: float = 50.0
    """Requests a second of one caller, averaged over ``burst`` requests."""
    burst: int = 200
    max_jobs: int = 64
    """Long jobs that run, wait or keep a result."""
    max_jobs_per_caller: int = 8
    max_running_jobs: int = 4
    """Jobs have places of their own: they must not take those of short requests."""
    job_ttl: float = 600.0
    """A finished job's result is kept for this long."""
    max_job_deadline: float = 3600.0
    """A long job is cancelled after this time, whatever its caller asked for."""
