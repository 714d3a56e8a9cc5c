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


class Spread(BaseModel):
    """Distances of one comparison, in levels: ``pairs`` of them; quantiles of the mean and of the 99th percentile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: int
    mean_q001: float
    mean_q01: float
    mean_q50: float
    mean_q999: float
    high_q01: float
    high_q999: float


class Thresholds(BaseModel):
    """At most ``same_*`` is the same picture; more than ``other_*`` is proof of another computation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    same_mean: float = Field(gt=0)
    same_high: float = Field(gt=0)
    other_mean: float = Field(gt=0)
    other_high: float = Field(gt=0)


class Calibration(BaseModel):
    """The result of the gate for the model of ``digest``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    digest: str
    dtype: str
    device: str
    steps: int
    guidance: float
    width: int
    height: int
    prompts: int
    seeds: int
    seconds_per_picture: float = Field(description="CPU seconds, one thread, in batches")
    honest: dict[str, Spread]
    cheats: dict[str, Spread]
    seed_to_seed: Spread
    ratio: float
    thresholds: Thresholds

    @property
    def passed(self) -> bool:
        """Whether a picture proves its seed."""
        return self.ratio >= RATIO

    def judge(self, apart: Distance) -> Judgement:
        """What a distance says of a received picture."""
        limits = self.thresholds
        if apart.mean <= limits.same_mean and apart.high <= limits.same_high:
            return "same"
        if apart.mean > limits.other_mean or apart.high > limits.other_high:
            return "other"
        return "doubtful"


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
