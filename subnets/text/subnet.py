"""The text subnet in inference mode: a declared model, every token proven, volume and speed paid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from ranvier.engines import SEEDED_GUMBEL, EngineUnfit, ScoreRequest, TokenEvidence
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
from ranvier.subnets.text.cheats import CHEATS
from ranvier.subnets.text.evidence import Pool, Thresholds, fault, shipped_thresholds
from ranvier.subnets.text.families import Prompt, compose
from ranvier.subnets.text.miner import TextMiner, messages, sampling
from ranvier.subnets.text.synapse import TextGeneration


class TextSettings(SubnetSettings):
    """Settings of the text subnet."""

    deadline: float = Field(default=30.0, gt=0, description="seconds a miner has for one answer")
    max_tokens: int = Field(default=48, ge=16, le=1024, description="tokens asked for")
    temperature: float = Field(default=0.9, ge=0.1, le=2, description="sampling temperature")
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
    thresholds: ClassVar[Thresholds] = shipped_thresholds()

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

    async def score(self, round: Round, answers: Sequence[Answer[TextGeneration]]) -> list[Verdict]:
        """One batched prefill over everything that can be judged."""
        vocabulary = await self._vocabulary()
        unfit = [_unfit(answer, vocabulary) for answer in answers]
        sound = [answer for answer, why in zip(answers, unfit, strict=True) if why is None]
        evidence = dict(zip(map(id, sound), await self._evidence(round, sound), strict=True))
        verdicts = [
            self._judge(answer, evidence[id(answer)]) if why is None else Verdict(0.0, why)
            for answer, why in zip(answers, unfit, strict=True)
        ]
        return banded(answers, verdicts, units="token_ids")

    async def _vocabulary(self) -> int:
        if self.context.engine is None:
            raise EngineUnfit("(none)", "the text subnet needs a text engine; name one with --engine")
        info = await self.context.engine.require(
            "text", self.engine.features if self.engine else (), self.context.model
        )
        return int(str(info.extra["vocabulary"]))

    async def _evidence(self, round: Round, answers: Sequence[Answer[TextGeneration]]) -> list[TokenEvidence]:
        if not answers or self.context.engine is None:
            return []
        asked = []
        for answer in answers:
            how = sampling(answer.task.request, answer.task.peer.hotkey, round.validator)
            asked.append(ScoreRequest(messages(answer.task.request), how, answer.reply.token_ids))
        return await self.context.engine.score(asked, model=self.context.model)

    def _judge(self, answer: Answer[TextGeneration], evidence: TokenEvidence) -> Verdict:
        """Validity; the value is the verified volume, still without the speed band."""
        request, reply, hotkey = answer.task.request, answer.reply, answer.task.peer.hotkey
        limits = self.thresholds
        pool = Pool.read(self._recall(hotkey)).add(evidence, reply.token_ids, limits)
        self._remember(hotkey, pool)
        facts = {
            "share": pool.share,
            "margin": pool.margin,
            "tokens": float(pool.tokens),
            "correct": _correct(answer.task.reference, reply.text),
        }
        wrong = fault(request, reply, evidence)
        if wrong is not None:
            return Verdict(0.0, wrong, evidence=facts)
        if pool.tokens < limits.minimum_tokens:
            return Verdict(None, f"evidence: {pool.tokens} of {limits.minimum_tokens} tokens", evidence=facts)
        shown = f"share {pool.share:.3f}, margin {pool.margin:.4f}"
        if pool.share < limits.caught_share or pool.margin > limits.caught_margin:
            return Verdict(0.0, f"another computation: {shown}", caught=True, evidence=facts)
        if pool.share < limits.lowest_share(pool.tokens) or pool.margin > limits.highest_margin(pool.tokens):
            return Verdict(0.0, f"doubtful: {shown}", evidence=facts)
        return Verdict(len(reply.token_ids) / request.max_tokens, f"valid: {shown}", evidence=facts)

    def _recall(self, hotkey: str) -> object:
        return None if self.context.memory is None else self.context.memory.get(hotkey, "pool")

    def _remember(self, hotkey: str, pool: Pool) -> None:
        if self.context.memory is not None:
            self.context.memory.put(hotkey, "pool", pool.stored())


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
