"""The text subnet in inference mode: a declared model, every token proven, volume and speed paid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from ranvier.engines import SEEDED_GUMBEL, EngineUnfit, ModelInfo, ScoreRequest, TokenEvidence
from ranvier.subnets.speed import banded
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
from ranvier.subnets.text.calibrate import shipped
from ranvier.subnets.text.cheats import CHEATS
from ranvier.subnets.text.families import Prompt, compose
from ranvier.subnets.text.miner import TextMiner, messages, sampling
from ranvier.subnets.text.synapse import TextGeneration
from ranvier.subnets.verification import (
    Bounds,
    Calibration,
    MinerTests,
    ending_fault,
    place,
    read_calibration,
    seen,
)


class TextSettings(SubnetSettings):
    """Settings of the text subnet."""

    deadline: float = Field(default=30.0, gt=0, description="seconds a miner has for one answer")
    audit_rate: float = Field(
        default=0.2, gt=0, le=1, description="share of answers verified, drawn after they came"
    )
    max_tokens: int = Field(default=48, ge=16, le=1024, description="tokens asked for")
    temperature: float = Field(default=0.9, ge=0.1, le=2, description="sampling temperature")
    calibration: Path | None = Field(
        default=None, description="what honest answers of the model look like (`ranvier models calibrate`)"
    )
    power: float = Field(
        default=1.5, gt=0, description="exponent applied to averages before weights are normalised"
    )


class TextSubnet(Subnet[TextGeneration]):
    """Validity by seeded sampling, times verified volume, times a bounded speed band. Correctness is only reported."""

    name: ClassVar[str] = "text"
    synapse: ClassVar[type[TextGeneration]] = TextGeneration
    Settings: ClassVar[type[SubnetSettings]] = TextSettings
    engine: ClassVar[EngineNeed | None] = EngineNeed("text", frozenset({SEEDED_GUMBEL, "score"}))
    miner: ClassVar[type[TextMiner]] = TextMiner
    cheats: ClassVar[Mapping[str, Cheat]] = CHEATS
    bounds: ClassVar[Bounds] = Bounds()

    @property
    def settings(self) -> TextSettings:
        """The settings, typed."""
        given = self.context.settings
        return given if isinstance(given, TextSettings) else TextSettings(**given.model_dump())

    def tasks(self, round: Round) -> Iterator[Task[TextGeneration]]:
        """For every miner prompts of its own under challenges of its own."""
        for peer in round.peers:
            for number in range(self.settings.tasks_per_miner):
                prompt = compose(round.random(peer.hotkey, number))
                request = TextGeneration(
                    prompt=prompt.text,
                    challenge=round.seed(peer.hotkey, number, purpose="challenge").hex(),
                    max_tokens=self.settings.max_tokens,
                    temperature=self.settings.temperature,
                )
                yield Task(peer, request, prompt)

    @cached_property
    def calibration(self) -> Calibration:
        """Raises `CalibrationUnfit` for a file that is none."""
        return read_calibration(self.settings.calibration) if self.settings.calibration else shipped()

    async def score(self, round: Round, answers: Sequence[Answer[TextGeneration]]) -> list[Verdict]:
        """One batched prefill over everything that can be judged."""
        info = await self._model()
        unfit = [_unfit(answer, int(str(info.extra["vocabulary"]))) for answer in answers]
        sound = [answer for answer, why in zip(answers, unfit, strict=True) if why is None]
        evidence = dict(zip(map(id, sound), await self._evidence(round, sound), strict=True))
        verdicts = [
            self._judge(round, answer, evidence[id(answer)]) if why is None else Verdict(0.0, why)
            for answer, why in zip(answers, unfit, strict=True)
        ]
        return banded(answers, verdicts, units="token_ids")

    async def _model(self) -> ModelInfo:
        if self.context.engine is None:
            raise EngineUnfit("(none)", "the text subnet needs a text engine; name one with --engine")
        info = await self.context.engine.require(
            "text", self.engine.features if self.engine else (), self.context.model
        )
        known = self.calibration
        if (info.id, info.dtype, info.device.partition(":")[0]) != (known.model, known.dtype, known.device):
            raise EngineUnfit(
                f"{info.id} ({info.dtype}, {info.device})",
                f"answers are judged as those of {known.model} ({known.dtype}, {known.device}); count this model's "
                "with `ranvier models calibrate` and name the file: --set calibration=FILE",
            )
        return info

    async def _evidence(self, round: Round, answers: Sequence[Answer[TextGeneration]]) -> list[TokenEvidence]:
        if not answers or self.context.engine is None:
            return []
        asked = []
        for answer in answers:
            how = sampling(answer.task.request, answer.task.peer.hotkey, round.validator)
            asked.append(ScoreRequest(messages(answer.task.request), how, answer.reply.token_ids))
        return await self.context.engine.score(asked, model=self.context.model)

    def _judge(self, round: Round, answer: Answer[TextGeneration], evidence: TokenEvidence) -> Verdict:
        """Validity; the value is the verified volume, still without the speed band."""
        request, reply, hotkey = answer.task.request, answer.reply, answer.task.peer.hotkey
        shown = seen(evidence, reply.token_ids)
        tests = MinerTests.read(self._recall(hotkey)).add(shown, self.calibration, self.bounds, round.number)
        like, test = tests.worst
        # Proof is acted upon once: what comes after the penalty is judged anew.
        self._remember(hotkey, tests.again() if test.caught else tests)
        free = [one.margin == 0 for one in shown if place(one).informative]
        facts = {
            "suspicion": tests.suspicion(self.bounds),
            "share": sum(free) / max(1, len(free)),
            "tokens": float(tests.informative),
            "correct": _correct(answer.task.reference, reply.text),
        }

        def verdict(value: float | None, why: str) -> Verdict:
            spell = test.spell(round.number)
            return Verdict(value, why, test.caught, facts, facts["suspicion"], spell)

        against = f"{test.score:+.1f} of {self.bounds.proof:.1f} nats against it"
        if test.caught:
            return verdict(0.0, f"another computation, as of {like}: {against}")
        wrong = ending_fault(
            *(reply.token_ids, reply.finish_reason, reply.text, evidence),
            max_tokens=request.max_tokens,
            tie=self.calibration.tie,
        )
        if wrong is not None:
            return verdict(0.0, wrong)
        if tests.informative < self.calibration.least:
            return verdict(None, f"evidence: {tests.informative} of {self.calibration.least} tokens")
        if tests.standing(self.bounds) == "doubtful":
            return verdict(0.0, f"doubtful, as of {like}: {against}")
        # Evidence short of proof costs its share of the pay: else who cheats a little and waits would be ahead.
        worth = len(reply.token_ids) / request.max_tokens * (1 - facts["suspicion"])
        return verdict(worth, f"valid: {against}, {test.passed} tests passed")

    def _recall(self, hotkey: str) -> object:
        return None if self.context.memory is None else self.context.memory.get(hotkey, "tests")

    def _remember(self, hotkey: str, tests: MinerTests) -> None:
        if self.context.memory is not None:
            self.context.memory.put(hotkey, "tests", tests.stored())


def _unfit(answer: Answer[TextGeneration], vocabulary: int) -> str | None:
    """What keeps an answer from even being put to the model."""
    ids = answer.reply.token_ids
    if not ids:
        return "no tokens"
    if len(ids) > answer.task.request.max_tokens:
        return "more tokens than were asked for"
    if not all(0 <= token < vocabulary for token in ids):
        return "a token outside the vocabulary"
    return None


def _correct(prompt: object, text: str) -> float:
    """1 or 0 for prompts that can be checked, NaN for the others. Reported, never paid."""
    if not isinstance(prompt, Prompt) or prompt.expected is None:
        return math.nan
    return float(prompt.expected in text)
