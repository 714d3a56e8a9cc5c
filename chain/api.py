"""The JSON of the chain server that is not a public model: what client and server must agree on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

GENESIS_HEADER = "X-Chain-Genesis"
"""Every reply names the chain it comes from."""

LONGEST_WAIT = 30.0
"""Most seconds a request may ask the server to hold its reply back."""

MOST_EVENTS = 4096
"""Most events in one reply; above what one block can hold."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class ChainInfo(_Message):
    """What chain this is; `block_time` in seconds, `calls` the kinds it carries out."""

    name: str
    genesis: str
    era: str
    clock: Literal["wall", "manual"]
    block_time: float
    longest_life: int
    allow_loopback: bool
    calls: tuple[str, ...]


class PulseInfo(_Message):
    """The keys of block `round`, hex: rows are sealed with the public one, opened with the private one."""

    round: int
    public_key: str
    private_key: str | None = None
    """None until that block is made."""


class CallState(_Message):
    """What became of a call; `error` is the chain's name where it was refused."""

    call_hash: str
    status: Literal["waiting", "settled", "unknown"]
    block: int | None = None
    error: str | None = None
    message: str | None = None


class Failure(_Message):
    """Why a request was not answered; `name` is the chain's error name or a kind of error."""

    name: str
    message: str


class Advance(_Message):
    """Ask a manual clock for `blocks` more blocks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blocks: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1
