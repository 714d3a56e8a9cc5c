"""The default miner: asks its engine's classifier."""

from __future__ import annotations

from ranvier.engines.client import EngineClient
from ranvier.protocol import Caller
from ranvier.subnets.sentiment.errors import NoEngine
from ranvier.subnets.sentiment.question import question
from ranvier.subnets.sentiment.synapse import Opinion, Passage, Sentiment
from ranvier.subnets.subnet import Context, Miner


class SentimentMiner(Miner[Sentiment]):
    """Answers with the probabilities of a served classifier with labels negative, neutral, positive."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if context.engine is None:
            raise NoEngine(type(self).__name__)
        self._engine: EngineClient = context.engine

    def worded(self, passage: Passage) -> str:
        """The string the classifier reads for a passage."""
        return question(passage.target, passage.text)

    async def answer(self, request: Sentiment, caller: Caller) -> Sentiment.Reply:
        """Classify all passages in one call. Raises `EngineError` when the engine does not answer."""
        texts = [self.worded(passage) for passage in request.passages]
        deadline = self.context.settings.deadline
        found = await self._engine.classify(texts, model=self.context.model, deadline=deadline)
        return Sentiment.Reply(opinions=tuple(Opinion.of(probabilities) for probabilities in found))
