"""The validator's half of the sentiment subnet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from ranvier.engines.sentiment.sentences import prepared_path
from ranvier.subnets.sentiment.cheats import CHEATS
from ranvier.subnets.sentiment.construct import Made, make
from ranvier.subnets.sentiment.corpus import Corpus, load_corpus
from ranvier.subnets.sentiment.frames import PUBLIC, Frame, load_frames
from ranvier.subnets.sentiment.miner import SentimentMiner
from ranvier.subnets.sentiment.scoring import Tally, latest, skill, tally, worth
from ranvier.subnets.sentiment.synapse import Passage, Sentiment
from ranvier.subnets.subnet import (
    Answer,
    Cheat,
    EngineNeed,
    Peer,
    Round,
    Subnet,
    SubnetSettings,
    Task,
    Verdict,
)

_TALLIES = "tallies"


class SentimentSettings(SubnetSettings):
    """Settings of the sentiment subnet; paths may be absolute or relative to the working folder."""

    power: float = Field(
        default=2.0, gt=0, description="exponent applied to averages before weights are normalised"
    )
    texts: int = Field(default=16, ge=4, le=32, description="texts in one request")
    window: int = Field(default=640, ge=16, description="latest texts over which a miner's skill is pooled")
    least: int = Field(default=64, ge=0, description="texts before a miner is scored at all")
    floor: float = Field(default=0.1, ge=0, lt=1, description="skill that pays nothing yet")
    sentences: Path | None = Field(
        default=None,
        description="JSON lines of your own labelled sentences; default: the prepared public ones",
    )
    frames: Path | None = Field(
        default=None, description="TOML of your own frames, used beside the public ones"
    )


class SentimentSubnet(Subnet[Sentiment]):
    """Texts that did not exist before, labels that follow from their making, calibrated probabilities paid
    by skill.
    """

    name: ClassVar[str] = "sentiment"
    synapse: ClassVar[type[Sentiment]] = Sentiment
    Settings: ClassVar[type[SubnetSettings]] = SentimentSettings
    engine: ClassVar[EngineNeed | None] = EngineNeed("classify")
    miner: ClassVar[type[SentimentMiner]] = SentimentMiner
    binds_answers: ClassVar[bool] = False
    weaker: ClassVar[tuple[type[SentimentMiner], str] | None] = (SentimentMiner, "sentiment-small")
    cheats: ClassVar[Mapping[str, Cheat]] = CHEATS

    @property
    def settings(self) -> SentimentSettings:
        """The settings, typed. A plain `SubnetSettings` is completed with this subnet's defaults."""
        given = self.context.settings
        if isinstance(given, SentimentSettings):
            return given
        return SentimentSettings.model_validate(given.model_dump(exclude_unset=True))

    @property
    def corpus(self) -> Corpus:
        """The sentences tasks are made of. Raises `CorpusMissing` with the next step where none are
        prepared.
        """
        own = self.settings.sentences
        return load_corpus(own, "all") if own else load_corpus(prepared_path(), "pool")

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Public frames and, where there are any, the operator's own."""
        own = self.settings.frames
        return load_frames(PUBLIC) + (load_frames(own) if own else ())

    def tasks(self, round: Round) -> Iterator[Task[Sentiment]]:
        """One request of fresh texts for each peer and each of ``tasks_per_miner``; no two peers share a
        text.
        """
        corpus, frames, settings = self.corpus, self.frames, self.settings
        for peer in round.peers:
            for k in range(settings.tasks_per_miner):
                rng = round.random(peer.hotkey, k)
                yield _task(peer, [make(rng, corpus, frames) for _ in range(settings.texts)])

    async def score(self, round: Round, answers: Sequence[Answer[Sentiment]]) -> list[Verdict]:
        """Pooled skill above the floor. Proves nobody a cheat: a wrong label is a mistake, not an offence."""
        return [self._verdict(answer) for answer in answers]

    def _verdict(self, answer: Answer[Sentiment]) -> Verdict:
        labels: tuple[int, ...] = answer.task.reference
        forecasts = [opinion.probabilities for opinion in answer.reply.opinions]
        if len(forecasts) != len(labels):
            return Verdict(0.0, f"{len(forecasts)} opinions on {len(labels)} passages")
        newest = tally(forecasts, labels)
        pooled = self._pooled(answer.task.peer.hotkey, newest)
        texts, value = sum(t.texts for t in pooled), skill(pooled)
        hits = sum(
            max(range(3), key=list(p).__getitem__) == k for p, k in zip(forecasts, labels, strict=True)
        )
        enough = texts >= self.settings.least
        return Verdict(
            worth(value, self.settings.floor) if enough else None,
            f"skill {value:.3f} over {texts} texts, {hits} of {len(labels)} right this time",
            evidence={
                "skill": value,
                "texts": texts,
                "brier": newest.loss / newest.texts,
                "hits": hits / len(labels),
            },
        )

    def _pooled(self, hotkey: str, newest: Tally) -> list[Tally]:
        """The newest tallies of a hotkey, kept in the validator's database where the context has one."""
        memory = self.context.memory
        earlier = [Tally(*row) for row in (memory.get(hotkey, _TALLIES) or [])] if memory is not None else []
        kept = latest([*earlier, newest], self.settings.window)
        if memory is not None:
            memory.put(hotkey, _TALLIES, [list(astuple(one)) for one in kept])
        return kept


def _task(peer: Peer, made: Iterable[Made]) -> Task[Sentiment]:
    """Put texts into a request; their labels stay in the reference."""
    texts = list(made)
    request = Sentiment(passages=tuple(Passage(text=one.text, target=one.target) for one in texts))
    return Task(peer=peer, request=request, reference=tuple(one.label for one in texts))
