"""Calls that set, promise and show weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ranvier.chain.calls.fields import STRICT, U16, Amount, Netuid, U16Row


@dataclass(frozen=True, config=STRICT)
class SetWeights:
    """Replace the signing hotkey's row of weights: `values[i]` (u16, relative) goes to uid `uids[i]`."""

    netuid: Netuid
    uids: U16Row
    values: U16Row
    version_key: Amount = 0
    call: Literal["SetWeights"] = "SetWeights"


@dataclass(frozen=True, config=STRICT)
class CommitWeights:
    """Promise a row of weights by its hash (`commitments.commit_hash`); `RevealWeights` keeps the promise."""

    netuid: Netuid
    commit_hash: Annotated[str, Field(strict=True, pattern="^0x[0-9a-f]{64}$")]
    call: Literal["CommitWeights"] = "CommitWeights"


@dataclass(frozen=True, config=STRICT)
class RevealWeights:
    """The row behind an earlier `CommitWeights` of the signing hotkey, while its window is open."""

    netuid: Netuid
    uids: U16Row
    values: U16Row
    salt: Annotated[tuple[U16, ...], Field(min_length=1, max_length=64)]
    version_key: Amount = 0
    call: Literal["RevealWeights"] = "RevealWeights"


@dataclass(frozen=True, config=STRICT)
class CommitSealed:
    """A row sealed (hex, `pulse.seal_row`) to block `round`: what local clients make of `CommitTimelocked`."""

    netuid: Netuid
    sealed: Annotated[str, Field(strict=True, pattern="^([0-9a-f]{2}){56,5000}$")]
    round: Annotated[int, Field(strict=True, ge=0, le=2**53)]
    call: Literal["CommitSealed"] = "CommitSealed"


@dataclass(frozen=True, config=STRICT)
class CommitTimelocked:
    """Send a row of weights encrypted to a later moment, at which the chain itself opens it.

    The client seals it; the values never leave this machine in clear.
    """

    netuid: Netuid
    uids: U16Row
    values: U16Row
    version_key: Amount = 0
    call: Literal["CommitTimelocked"] = "CommitTimelocked"
