"""The image subnet: a declared model, pictures proven by drawing a sample of them again, volume and speed paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from ranvier.engines import EngineUnfit
from ranvier.engines.image.calibration import Calibration, load_calibration
from ranvier.engines.image.distance import distance
from ranvier.engines.image.png import BadPicture, Pixels, read_png
from ranvier.subnets.image.cheats import CHEATS
from ranvier.subnets.image.miner import ImageMiner, drawing
from ranvier.subnets.image.synapse import ImageGeneration
from ranvier.subnets.image.tasks import compose
from ranvier.subnets.speed import HIGH, speed_bands
from ranvier.subnets.subnet import (
    Answer,
    Cheat,
    EngineNeed,
    Round,
    Subnet,
    SubnetSettings,
    Task,
    Verdict,
)

SEEDED_NOISE = "seeded-noise-v1"
AT_ONCE = 16
"""Pictures that are drawn again in one request to the engine."""


class ImageSettings(SubnetSettings):
    """Settings of the image subnet."""

    deadline: float = Field(default=30.0, gt=0, description="seconds a miner has for one picture")
    power: float = Field(
        default=1.5, gt=0, description="exponent applied to averages before weights are normalised"
    )
    gate: Path | None = Field(
        default=None, description="gate.json of another model; by default that of the shipped one"
    )


class ImageSubnet(Subnet[ImageGeneration]):
    """Received pixels against pixels drawn again, by thresholds that were measured for exactly this model."""

    name: ClassVar[str] = "image"
    synapse: ClassVar[type[ImageGeneration]] = ImageGeneration
    Settings: ClassVar[type[SubnetSettings]] = ImageSettings
    engine: ClassVar[EngineNeed | None] = EngineNeed("image", frozenset({SEEDED_NOISE}))
    miner: ClassVar[type[ImageMiner]] = ImageMiner
    cheats: ClassVar[Mapping[str, Cheat]] = CHEATS

    @property
    def settings(self) -> ImageSettings:
        """The settings, typed."""
        given = self.context.settings
        if isinstance(given, ImageSettings):
            return given
        return ImageSettings.model_validate(given.model_dump(exclude_unset=True))

    @property
    def calibration(self) -> Calibration:
        """What was measured of the declared model; raises `ModelNotFound` where that cannot be read."""
        return load_calibration(self.settings.gate)

    def tasks(self, round: Round) -> Iterator[Task[ImageGeneration]]:
        """For every miner prompts of its own under challenges of its own."""
        model = self.calibration
        for peer in round.peers:
            for number in range(self.settings.tasks_per_miner):
                yield Task(
                    peer,
                    ImageGeneration(
                        prompt=compose(round.random(peer.hotkey, number)),
                        challenge=round.seed(peer.hotkey, number, purpose="challenge").hex(),
                        steps=model.steps,
                        guidance=model.guidance,
                        width=model.width,
                        height=model.height,
                    ),
                )

    async def score(self, round: Round, answers: Sequence[Answer[ImageGeneration]]) -> list[Verdict]:
        """Read every picture, draw again those that can be read, compare."""
        model = await self._gated()
        read = [_read(answer) for answer in answers]
        sound = [answer for answer, one in zip(answers, read, strict=True) if not isinstance(one, str)]
        again = iter(await self._draw_again(round, sound))
        verdicts = [
            Verdict(0.0, one) if isinstance(one, str) else _judge(model, one, next(again)) for one in read
        ]
        return _banded(answers, verdicts)

    async def _gated(self) -> Calibration:
        """The calibration; raises `EngineUnfit` where it is not of the engine's model, or the model fails the gate."""
        if self.context.engine is None:
            raise EngineUnfit("(none)", "the image subnet needs an image engine; name one with --engine")
        info = await self.context.engine.require("image", self.engine.features if self.engine else ())
        model = self.calibration
        if (info.digest, info.dtype) != (model.digest, model.dtype):
            raise EngineUnfit(
                self.context.engine.endpoint,
                f"{info.id} ({info.dtype}) is not the model of the gate's thresholds; measure it with "
                "`python -m ranvier.engines.image.gate` and name the file in the setting `gate`",
            )
        if not model.passed:
            raise EngineUnfit(
                self.context.engine.endpoint,
                f"{info.id} fails the gate (ratio {model.ratio}): its pictures do not prove their seeds",
            )
        return model

    async def _draw_again(self, round: Round, answers: Sequence[Answer[ImageGeneration]]) -> list[Pixels]:
        """The pictures that honest miners would have sent."""
        asked = [drawing(one.task.request, one.task.peer.hotkey, round.validator) for one in answers]
        drawn: list[bytes] = []
        if self.context.engine is not None:
            for start in range(0, len(asked), AT_ONCE):
                drawn += await self.context.engine.images(asked[start : start + AT_ONCE])
        return [read_png(png, one.width, one.height) for png, one in zip(drawn, asked, strict=True)]


def _read(answer: Answer[ImageGeneration]) -> Pixels | str:
    """The received pixels, or what is wrong with the file."""
    request = answer.task.request
    try:
        return read_png(answer.reply.png, request.width, request.height)
    except BadPicture as error:
        return f"no picture: {error}"


def _judge(model: Calibration, received: Pixels, expected: Pixels) -> Verdict:
    apart = distance(received, expected)
    shown = f"{apart.mean:.3f} levels on average, {apart.high:.0f} at the 99th percentile"
    facts = {"mean": apart.mean, "high": apart.high}
    found = model.judge(apart)
    if found == "same":
        return Verdict(1.0, f"same picture: {shown}", evidence=facts)
    if found == "other":
        return Verdict(0.0, f"another picture: {shown}", caught=True, evidence=facts)
    return Verdict(0.0, f"doubtful: {shown}", evidence=facts)


def _banded(answers: Sequence[Answer[ImageGeneration]], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Times the speed band of those that passed."""
    passed = {
        str(number): answer.elapsed
        for number, (answer, verdict) in enumerate(zip(answers, verdicts, strict=True))
        if verdict.value
    }
    bands = speed_bands(passed) if passed else {}
    return [
        replace(verdict, value=bands[str(number)] / HIGH) if verdict.value else verdict
        for number, verdict in enumerate(verdicts)
    ]
