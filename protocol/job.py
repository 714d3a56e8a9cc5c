"""A long job as its caller knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from ranvier.protocol.caller import Target
from ranvier.protocol.outcome import Outcome
from ranvier.protocol.query import Query
from ranvier.protocol.synapse import Synapse

JOB_ROUTE: Final = "/-/job"
MAX_WAIT: Final = 60.0
"""Seconds that one poll may wait at the miner."""


@dataclass(frozen=True, slots=True)
class Job:
    """Where a job runs and what it will answer. ``id`` is the digest of the request that began it, in hex.

    The id is known before the request leaves, so a job whose acknowledgement got lost can still be asked for:
    ``doubt`` is then what the beginning came to.
    """

    target: Target
    synapse: type[Synapse]
    id: str
    query: Query
    doubt: Outcome[Any] | None = None


class JobPoll(BaseModel):
    """What a caller asks of a job of its own: its result within ``wait`` milliseconds, or its end."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job: str = Field(pattern=r"^[0-9a-f]{64}$")
    wait: int = Field(default=0, ge=0, le=int(MAX_WAIT * 1000))
    cancel: bool = False
