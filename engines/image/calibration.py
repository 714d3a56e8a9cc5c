"""What separates an honest picture from another one: thresholds measured for one model, and their evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ranvier.engines.errors import ModelNotFound
from ranvier.engines.image.distance import Distance

SHIPPED: Final = Path(__file__).parent / "scenes"
GATE: Final = "gate.json"
RATIO: Final = 10.0
"""The gate: seeds must lie at least this many times as far apart as honest runs."""

Judgement = Literal["same", "doubtful", "other"]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Kept):
    """Distances of one comparison: ``pairs`` of them; quantiles of the three figures of a `Distance`, in levels."""

    pairs: int
    mean_q001: float
    mean_q01: float
    mean_q50: float
    mean_q999: float
    coarse_q01: float
    coarse_q50: float
    coarse_q999: float
    high_q01: float
    high_q999: float


class Thresholds(_Kept):
    """At most ``same_*`` is the same picture; a mean above ``other_mean`` is proof of another computation."""

    same_mean: float = Field(gt=0)
    same_coarse: float = Field(gt=0)
    same_high: float = Field(gt=0)
    other_mean: float = Field(gt=0)


class LinkLimits(_Kept):
    """Of one step made again: up to ``same_*`` the latents are the same, above ``other_mean`` the step was not made.

    Mean and 99th percentile of differences between latents. ``honest`` is the largest mean of honest steps, ``skipped``
    the first percentile where a step is replaced by the best straight continuation of the two before it.
    """

    same_mean: float = Field(gt=0)
    same_high: float = Field(gt=0)
    other_mean: float = Field(gt=0)
    honest: float
    skipped: float


class Miners(_Kept):
    """What was measured of miners that compute in one dtype."""

    honest: dict[str, Spread]
    thresholds: Thresholds
    links: tuple[LinkLimits, ...] = Field(
        description="one for each step; none where steps cannot be made again"
    )


class Calibration(_Kept):
    """The result of the gate for the model of ``digest``, as a verifier of ``dtype`` on ``device`` sees it."""

    model: str
    digest: str
    dtype: str
    device: str
    steps: int
    guidance: float
    width: int
    height: int
    latents: int = Field(description="bytes of a picture's latents after one step")
    prompts: int
    seeds: int
    seconds_per_picture: float = Field(description="CPU seconds, one thread, in batches")
    cheats: dict[str, Spread]
    miners: dict[str, Miners] = Field(description="by the dtype that a miner declares")
    seed_to_seed: Spread
    ratio: float

    @property
    def passed(self) -> bool:
        """Whether a picture proves its seed."""
        return self.ratio >= RATIO

    def judge(self, apart: Distance, dtype: str = "float32") -> Judgement:
        """What a distance says of a received picture whose miner declares ``dtype``; raises KeyError for others."""
        limits = self.miners[dtype].thresholds
        if (
            apart.mean <= limits.same_mean
            and apart.coarse <= limits.same_coarse
            and apart.high <= limits.same_high
        ):
            return "same"
        return "other" if apart.mean > limits.other_mean else "doubtful"

    def judge_link(self, number: int, mean: float, high: float, dtype: str = "float32") -> Judgement:
        """What the difference of latents after step ``number`` (from 0) says, likewise."""
        limits = self.miners[dtype].links[number]
        if mean <= limits.same_mean and high <= limits.same_high:
            return "same"
        # What is no number is no step either.
        return "doubtful" if mean <= limits.other_mean else "other"


def load_calibration(path: Path | None = None) -> Calibration:
    """From a gate's file, by default that of the shipped model; raises `ModelNotFound`."""
    where = path or SHIPPED / GATE
    try:
        return Calibration.model_validate_json(where.read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelNotFound(
            str(where),
            f"no calibration can be read ({str(error).splitlines()[0]})",
            "Make one with `python -m ranvier.engines.image.gate --model NAME --out FILE`.",
        ) from error
