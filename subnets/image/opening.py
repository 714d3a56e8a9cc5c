"""Latents that a miner has committed to: kept for a while, opened to whom the picture was for."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pydantic import Field

from ranvier.protocol import Reply, Synapse
from ranvier.subnets.verification.merkle import path_of

MOST: Final = 64 << 20
"""Bytes of latents that a miner keeps."""
LONGEST: Final = 600.0
"""Seconds after which nobody is going to ask any more."""
Key = tuple[str, str]
"""The caller's hotkey and its challenge."""


class OpenLatents(Synapse):
    """Open the latents after some steps (from 1) of the picture that the same caller got for ``challenge``."""

    max_reply: ClassVar[int] = 32 << 20
    challenge: str = Field(pattern=r"^[0-9a-f]{64}$", description="as in ImageGeneration")
    numbers: tuple[int, ...] = Field(min_length=1, max_length=100)

    class Reply(Reply):
        """Latents as little-endian numbers of single precision, and for each the path to the commitment."""

        latents: tuple[bytes, ...] = Field(max_length=100)
        paths: tuple[tuple[bytes, ...], ...] = Field(max_length=100)


@dataclass(frozen=True, slots=True)
class _Kept:
    latents: tuple[bytes, ...]
    since: float

    @property
    def size(self) -> int:
        return sum(map(len, self.latents))


class KeptLatents:
    """Bounded in bytes and in time; the oldest go first."""

    def __init__(
        self, most: int = MOST, longest: float = LONGEST, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._longest, self._clock = most, longest, clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self.size = 0
        """Bytes."""

    def keep(self, key: Key, latents: Sequence[bytes]) -> None:
        """Those after each step, in order."""
        self._drop(key)
        one = _Kept(tuple(latents), self._clock())
        self._kept[key] = one
        self.size += one.size
        while self._kept and (self.size > self._most or self._late(next(iter(self._kept.values())))):
            self._drop(next(iter(self._kept)))

    def open(self, key: Key, numbers: Sequence[int]) -> OpenLatents.Reply | None:
        """None for what is not kept, or no longer."""
        one = self._kept.get(key)
        if one is None or self._late(one) or not all(1 <= number <= len(one.latents) for number in numbers):
            return None
        return OpenLatents.Reply(
            latents=tuple(one.latents[number - 1] for number in numbers),
            paths=tuple(path_of(one.latents, number - 1) for number in numbers),
        )

    def _late(self, one: _Kept) -> bool:
        return self._clock() - one.since > self._longest

    def _drop(self, key: Key) -> None:
        one = self._kept.pop(key, None)
        if one is not None:
            self.size -= one.size
