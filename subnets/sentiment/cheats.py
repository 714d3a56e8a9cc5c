"""Dishonest miners of the sentiment subnet, and what each may earn.

`Decompiler` is not among `CHEATS`: against the public frames over public sentences it wins, because both can
be read by a program. It is here to be measured, and to show that an operator's own sentences (settings) end
it.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping

from ranvier.engines.sentiment.sentences import prepared_path
from ranvier.protocol import Answered, Caller, Outcome
from ranvier.subnets.sentiment.decompile import decompiled
from ranvier.subnets.sentiment.lookup import SentenceIndex
from ranvier.subnets.sentiment.miner import SentimentMiner
from ranvier.subnets.sentiment.question import question
from ranvier.subnets.sentiment.synapse import Opinion, Passage, Sentiment
from ranvier.subnets.sentiment.words import load_words
from ranvier.subnets.subnet import Cheat, Context, Miner, Peer

CLIMATE = Opinion.of((0.4, 0.2, 0.4))
"""How often each label occurs: the best constant answer."""


class _Passagewise(Miner[Sentiment]):
    """A cheat that judges each passage by itself, without an engine."""

    @abstractmethod
    def opinion(self, passage: Passage) -> Opinion:
        """What it says of one passage."""

    async def answer(self, request: Sentiment, caller: Caller) -> Sentiment.Reply:
        """Answer passage by passage."""
        return Sentiment.Reply(opinions=tuple(self.opinion(passage) for passage in request.passages))


class ConstantCheat(_Passagewise):
    """Always the climatology."""

    def opinion(self, passage: Passage) -> Opinion:
        """The same for every text."""
        return CLIMATE


class ExactLookup(_Passagewise):
    """The label of the public sentence that stands in the text."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._index = SentenceIndex(prepared_path())

    def opinion(self, passage: Passage) -> Opinion:
        """Nearly sure of what was found, else climatology."""
        found = self.polarities(passage.text)
        return _sure_of(found[0]) if found else CLIMATE

    def polarities(self, text: str) -> list[int]:
        """Of the public sentences found in a text, best match first."""
        return self._index.exact(text)


class FuzzyLookup(ExactLookup):
    """The label of the nearest public sentence, however reworded."""

    def polarities(self, text: str) -> list[int]:
        """Of the public sentences that share a good part of their trigrams with the text."""
        return self._index.fuzzy(text)


class Decompiler(ExactLookup):
    """Undoes the construction: recognises the public frame, looks the sentences up, works the label out."""

    def opinion(self, passage: Passage) -> Opinion:
        """Sure where both frame and sentences are known."""
        polarity = decompiled(passage.text, passage.target, self._index)
        return CLIMATE if polarity is None else _sure_of(polarity)


class LexiconCheat(_Passagewise):
    """Counts good and bad words."""

    def opinion(self, passage: Passage) -> Opinion:
        """More weight for the side with more words."""
        words = re.findall(r"[a-z]+", passage.text.lower())
        lexicon = load_words().lexicon
        balance = sum(w in lexicon.good for w in words) - sum(w in lexicon.bad for w in words)
        return Opinion.of((0.4 * 1.5**-balance, 0.2, 0.4 * 1.5**balance))


class RelayCheat(Miner[Sentiment]):
    """Forwards the request to other miners under its own hotkey.

    Labels cannot be bound to a hotkey, so what refuses it is the honest miner's door: minimum stake or
    permit.
    """

    async def answer(self, request: Sentiment, caller: Caller) -> Sentiment.Reply:
        """The first peer's answer, or climatology when every door stays shut."""
        dendrite, deadline = self.context.dendrite, self.context.settings.deadline / 4
        if dendrite is not None:
            for peer in self._others(caller):
                outcome: Outcome[Sentiment.Reply] = await dendrite.ask(
                    peer.target, request, deadline=deadline
                )
                if isinstance(outcome, Answered):
                    return Sentiment.Reply(opinions=outcome.reply.opinions)
        return Sentiment.Reply(opinions=(CLIMATE,) * len(request.passages))

    def _others(self, caller: Caller) -> list[Peer]:
        """Everybody but itself and the asker."""
        return [
            peer for peer in self.context.peers() if peer.hotkey not in {self.context.hotkey, caller.hotkey}
        ]


class TruncatedCheat(SentimentMiner):
    """The honest model over the first words only: a third of the work."""

    words = 16

    def worded(self, passage: Passage) -> str:
        """The question, cut."""
        return " ".join(question(passage.target, passage.text).split()[: self.words])


class PrunedCheat(SentimentMiner):
    """The honest weights with half of the layers left out (a served model of its own)."""


def _sure_of(polarity: int) -> Opinion:
    """0.9 for the class of a polarity."""
    weights = [0.05, 0.05, 0.05]
    weights[polarity + 1] = 0.9
    return Opinion.of(tuple(weights))


CHEATS: Mapping[str, Cheat] = {
    "relay": Cheat(RelayCheat, "relay"),
    "constant": Cheat(ConstantCheat, "free"),
    "lookup": Cheat(ExactLookup, "free"),
    "fuzzy-lookup": Cheat(FuzzyLookup, "free"),
    "lexicon": Cheat(LexiconCheat, "free"),
    "truncated": Cheat(TruncatedCheat, "cheaper"),
    "pruned": Cheat(PrunedCheat, "cheaper", model="sentiment-pruned"),
}
"""By name. What each may earn of an honest miner's emission is `Cheat.kind`'s bound."""
