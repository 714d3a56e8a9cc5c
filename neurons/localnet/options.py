"""What one run of the localnet is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

LITE_SUBNET: Final = "puzzle"
FULL_SUBNETS: Final = ("text", "sentiment", "image")


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of a run. ``block_time`` is in seconds, ``tempo`` in blocks; ``epochs`` None runs until Ctrl-C."""

    subnets: tuple[str, ...]
    state: Path
    block_time: float
    tempo: int
    round_blocks: int
    seed: int = 0
    epochs: int | None = None
    json: Path | None = None
    fresh: bool = False

    @classmethod
    def full(cls, state: Path, **settings: object) -> Options:
        """The three built-in subnets with real models: blocks of one second, epochs of three quarters of a minute."""
        return cls(FULL_SUBNETS, state, block_time=1.0, tempo=45, round_blocks=15, **settings)  # type: ignore[arg-type]

    @classmethod
    def lite(cls, state: Path, **settings: object) -> Options:
        """The example subnet alone: blocks of a quarter of a second, epochs of five seconds."""
        return cls((LITE_SUBNET,), state, block_time=0.25, tempo=20, round_blocks=8, **settings)  # type: ignore[arg-type]

    def adjusted(
        self, *, subnets: Sequence[str] | None, tempo: int | None, block_time: float | None
    ) -> Options:
        """With what was chosen in place of the defaults; rounds keep their share of an epoch."""
        pace = tempo or self.tempo
        return replace(
            self,
            subnets=tuple(subnets or self.subnets),
            tempo=pace,
            block_time=block_time or self.block_time,
            round_blocks=max(1, self.round_blocks * pace // self.tempo),
        )
