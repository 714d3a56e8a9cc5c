"""What separates an honest picture from another one: thresholds measured for one model, and their evidence."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ranvier.engines.errors import ModelNotFound
from ranvier.engines.image.distance import Distance

SHIPPED: Final = Path(__file__).parent / "scenes"
GATE: Final = "gate.json"
RATIO: Final = 10.0
"""The gate: seeds must lie at least this many times as far apart as honest runs."""
FLOOR: Final = 0.02
"""Levels: the honest spread is taken to be no smaller, since one pixel that rounds otherwise is no event."""
ENOUGH: Final = 64
"""Pictures of each kind that one dtype has to be measured with, to verify another."""
CLEAR: Final = 2.0
"""Between dtypes: the nearest cheat must lie at least this many times as far away as the farthest honest miner."""

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
    """At most ``same_*`` is the same picture; a mean above ``other_mean`` proves that it is another one."""

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


class Pair(_Kept):
    """What a verifier of one dtype sees of honest miners that compute in the same or another one."""

    honest: dict[str, Spread]
    thresholds: Thresholds
    links: tuple[LinkLimits, ...] = Field(
        description="one for each step; none where steps cannot be made again"
    )


class Verifier(_Kept):
    """What was measured with a verifier that computes in one dtype. Cheats may draw in any."""

    seconds_per_picture: float = Field(description="CPU seconds, one thread, in batches")
    cheats: dict[str, Spread] = Field(description="by kind and the dtype that they are drawn in")
    miners: dict[str, Pair] = Field(description="by the dtype that a miner declares")
    seed_to_seed: Spread
    ratio: float

    def parts(self, miner: str) -> bool:
        """Whether every cheat, and every step that was not made, lies clear of honest miners that declare ``miner``.

        Never where fewer than `ENOUGH` pictures were measured: few do not show how far apart honest ones may lie.
        """
        pair = self.miners[miner]
        if min(one.pairs for one in pair.honest.values()) < ENOUGH:
            return False
        mean = CLEAR * max(FLOOR, *(one.mean_q999 for one in pair.honest.values()))
        coarse = CLEAR * max(FLOOR, *(one.coarse_q999 for one in pair.honest.values()))
        return all(one.mean_q01 >= mean or one.coarse_q01 >= coarse for one in self.cheats.values()) and all(
            link.skipped >= CLEAR * link.honest for link in pair.links
        )


class Calibration(_Kept):
    """The result of the gate for the model of ``digest`` on ``device``, for each dtype that miners may declare."""

    model: str
    digest: str
    device: str
    steps: int
    guidance: float
    width: int
    height: int
    latents: int = Field(description="bytes of a picture's latents after one step")
    prompts: int
    seeds: int
    verifiers: dict[str, Verifier] = Field(
        min_length=1, description="by the dtype that the verifier computes in"
    )

    @model_validator(mode="after")
    def _whole(self) -> Calibration:
        for dtype, one in self.verifiers.items():
            if set(one.miners) != set(self.verifiers):
                raise ValueError(f"verifiers.{dtype}: miners of other dtypes than there are verifiers of")
        return self

    @property
    def passed(self) -> bool:
        """Whether a picture proves its seed."""
        return self.ratio >= RATIO

    @property
    def ratio(self) -> float:
        """How many times as far as honest runs seeds lie apart, at least."""
        return min(one.ratio for one in self.verifiers.values())

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Those that miners may declare."""
        return tuple(self.verifiers)

    def verifier(self, miner: str, held: Collection[str]) -> str | None:
        """The dtype, of those that are held, to verify a miner of dtype ``miner`` in; None where none will do.

        Its own by preference. In another one its rounding has to be allowed for, which serves cheats as well: that will
        do only where what was measured keeps them clear of honest miners all the same (`Verifier.parts`).
        """
        if miner in held:
            return miner
        return next(
            (dtype for dtype, one in self.verifiers.items() if dtype in held and one.parts(miner)), None
        )

    def judge(self, apart: Distance, miner: str, verifier: str) -> Judgement:
        """What a distance of a received picture says, by the dtypes of both; raises KeyError for others."""
        limits = self.verifiers[verifier].miners[miner].thresholds
        if (
            apart.mean <= limits.same_mean
            and apart.coarse <= limits.same_coarse
            and apart.high <= limits.same_high
        ):
            return "same"
        return "other" if apart.mean > limits.other_mean else "doubtful"

    def judge_link(self, number: int, mean: float, high: float, miner: str, verifier: str) -> Judgement:
        """What the difference of latents after step ``number`` (from 0) says, likewise."""
        limits = self.verifiers[verifier].miners[miner].links[number]
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
