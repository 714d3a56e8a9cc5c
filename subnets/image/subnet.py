"""The image subnet: a declared model, pictures proven by drawing a sample of them again, volume and speed paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from ranvier.engines import LATENT_STEPS, SEEDED_NOISE, EngineUnfit
from ranvier.engines.image.calibration import Calibration, load_calibration
from ranvier.engines.image.distance import distance
from ranvier.engines.image.png import BadPicture, Pixels, read_png
from ranvier.subnets.image.cheats import CHEATS
from ranvier.subnets.image.held import Held, hold
from ranvier.subnets.image.miner import ImageMiner, drawing
from ranvier.subnets.image.spot import SpotCheck
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

AT_ONCE = 16
"""Pictures that are drawn again in one request to the engine."""


class ImageSettings(SubnetSettings):
    """Settings of the image subnet."""

    deadline: float = Field(default=30.0, gt=0, description="seconds a miner has for one picture")
    power: float = Field(
        default=1.5, gt=0, description="exponent applied to averages before weights are normalised"
    )
    audit: Literal["again", "steps"] = Field(
        default="again", description="draw audited pictures again, or make some of their steps again"
    )
    checks: int = Field(
        default=2, ge=1, le=100, description="steps made again of a picture, with audit = steps"
    )
    opening: float = Field(
        default=20.0, gt=0, description="seconds a miner has to open its latents, with audit = steps"
    )
    gate: Path | None = Field(
        default=None,
        description="gate.json of another model; by default that of the shipped one. A validator's engine holds the "
        "model in each dtype of it: image=scenes and image=scenes@bfloat16",
    )


class ImageSubnet(Subnet[ImageGeneration]):
    """Received pixels against pixels drawn again in the dtype that the miner declares, by thresholds measured for it.

    Or, with ``audit = "steps"``, single steps against steps made again (`SpotCheck`).
    """

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
                        commit=self.settings.audit == "steps",
                    ),
                )

    async def ready(self) -> None:
        """The engine holds the declared model in every dtype that miners may declare, and it passes the gate."""
        await self._gated()

    async def score(self, round: Round, answers: Sequence[Answer[ImageGeneration]]) -> list[Verdict]:
        """Read every picture, verify those that can be read."""
        held = await self._gated()
        read = [_read(answer, held.calibration) for answer in answers]
        sound = [(answer, one) for answer, one in zip(answers, read, strict=True) if not isinstance(one, str)]
        verify = self._by_steps if self.settings.audit == "steps" else self._again
        judged = iter(await verify(round, held, [answer for answer, _ in sound], [one for _, one in sound]))
        verdicts = [Verdict(0.0, one) if isinstance(one, str) else next(judged) for one in read]
        return _banded(answers, verdicts)

    async def _again(
        self,
        round: Round,
        held: Held,
        answers: Sequence[Answer[ImageGeneration]],
        pictures: Sequence[Pixels],
    ) -> list[Verdict]:
        """By drawing everything again."""
        asked = [
            (one.reply.dtype, drawing(one.task.request, one.task.peer.hotkey, round.validator))
            for one in answers
        ]
        drawn = await held.each(held.engine.images, asked, AT_ONCE)
        return [
            _judge(held, received, read_png(png, one.width, one.height), dtype)
            for (dtype, one), received, png in zip(asked, pictures, drawn, strict=True)
        ]

    async def _by_steps(
        self,
        round: Round,
        held: Held,
        answers: Sequence[Answer[ImageGeneration]],
        pictures: Sequence[Pixels],
    ) -> list[Verdict]:
        """By making some steps again, from latents that the miners open now. Raises `EngineUnfit`."""
        dendrite = self.context.dendrite
        if dendrite is None:
            raise EngineUnfit(held.engine.endpoint, "spot checks need a dendrite to ask miners back with")
        check = SpotCheck(held, dendrite, round, checks=self.settings.checks, deadline=self.settings.opening)
        return await check.verdicts(answers, pictures)

    async def _gated(self) -> Held:
        """What to verify with; raises `EngineUnfit` where the engine lacks some of it, or the model fails the gate."""
        engine, model = self.context.engine, self.calibration
        if engine is None:
            raise EngineUnfit("(none)", "the image subnet needs an image engine; name one with --engine")
        stepped = {LATENT_STEPS} if self.settings.audit == "steps" else set()
        found = await hold(engine, model, {SEEDED_NOISE} | stepped)
        if not model.passed:
            raise EngineUnfit(
                engine.endpoint,
                f"{model.model} fails the gate (ratio {model.ratio}): its pictures do not prove their seeds",
            )
        return found


def _read(answer: Answer[ImageGeneration], model: Calibration) -> Pixels | str:
    """The received pixels, or what is wrong with the answer."""
    request, dtype = answer.task.request, answer.reply.dtype
    if dtype not in model.dtypes:
        said = f"{dtype} is declared, which was not measured" if dtype else "no dtype is declared"
        return f"{said}: serve the model in {' or '.join(model.dtypes)}, and say so"
    try:
        return read_png(answer.reply.png, request.width, request.height)
    except BadPicture as error:
        return f"no picture: {error}"


def _judge(held: Held, received: Pixels, expected: Pixels, dtype: str) -> Verdict:
    apart = distance(received, expected)
    shown = f"{apart.mean:.3f} levels on average, {apart.high:.0f} at the 99th percentile"
    facts = {"mean": apart.mean, "coarse": apart.coarse, "high": apart.high}
    found = held.calibration.judge(apart, dtype, held.verifiers[dtype])
    if found == "same":
        return Verdict(1.0, f"same picture: {shown}", evidence=facts)
    if found == "other":
        return Verdict(0.0, f"another picture: {shown}", caught=True, evidence=facts)
    return Verdict(0.0, f"doubtful: {shown}", evidence=facts, suspicion=1.0)


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
