"""From a prefill's evidence to a verdict: shares and margins pooled over a miner's newest informative tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from ranvier.engines import TokenEvidence
from ranvier.subnets.text.synapse import TextGeneration

MARGIN_CAP: Final = 20.0
"""Margins are cut here, so that one impossible token does not outweigh a record."""


class Thresholds(BaseModel):
    """What separates honest answers from others; data with its evidence in ``thresholds.json``.

    A token is informative above ``minimum_entropy`` nats. Below ``share`` or above ``margin`` an answer earns
    nothing; both are for a full window and give way to fewer tokens as standard errors do. Below ``caught_share``
    or above ``caught_margin`` it proves another computation, however many tokens there are.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    minimum_entropy: float
    minimum_tokens: int
    window: int
    share: float
    margin: float
    caught_share: float
    caught_margin: float

    def lowest_share(self, tokens: int) -> float:
        """The share of seeded choices that so many informative tokens must reach."""
        return 1 - (1 - self.share) * math.sqrt(self.window / tokens)

    def highest_margin(self, tokens: int) -> float:
        """The mean margin that so many informative tokens may have."""
        return self.margin * math.sqrt(self.window / tokens)


def shipped_thresholds() -> Thresholds:
    """The thresholds measured for the default model."""
    return Thresholds.model_validate(json.loads((files(__package__) / "thresholds.json").read_text()))


@dataclass(frozen=True, slots=True)
class Pool:
    """A miner's newest informative tokens: whether each was the seeded choice, and its margin."""

    equal: tuple[bool, ...] = ()
    margins: tuple[float, ...] = ()

    @classmethod
    def read(cls, stored: Any) -> Pool:
        """From the validator's memory."""
        return cls() if stored is None else cls(tuple(stored[0]), tuple(stored[1]))

    def stored(self) -> Any:
        """For the validator's memory."""
        return [list(self.equal), list(self.margins)]

    def add(self, evidence: TokenEvidence, token_ids: Sequence[int], limits: Thresholds) -> Pool:
        """With one more answer, cut to the window."""
        rows = [
            (token == expected, min(margin, MARGIN_CAP))
            for token, expected, margin, nats in zip(
                token_ids, evidence.expected, evidence.margin, evidence.entropy, strict=True
            )
            if nats >= limits.minimum_entropy
        ]
        equal = (*self.equal, *(one for one, _ in rows))[-limits.window :]
        margins = (*self.margins, *(one for _, one in rows))[-limits.window :]
        return Pool(equal, margins)

    @property
    def tokens(self) -> int:
        """How many informative tokens are pooled."""
        return len(self.equal)

    @property
    def share(self) -> float:
        """Share of seeded choices."""
        return sum(self.equal) / len(self.equal) if self.equal else 0.0

    @property
    def margin(self) -> float:
        """Mean margin."""
        return sum(self.margins) / len(self.margins) if self.margins else 0.0


def fault(request: TextGeneration, reply: Any, evidence: TokenEvidence) -> str | None:
    """What is wrong with an answer's shape: its length, its end, its text. None if nothing is."""
    ends = set(evidence.end_token_ids)
    if any(token in ends for token in reply.token_ids[:-1]):
        return "goes on after the end token"
    if reply.finish_reason == "stop" and reply.token_ids[-1] not in ends:
        return "stops without the end token"
    if reply.finish_reason == "stop" and evidence.expected[-1] not in ends:
        return "ends where the model goes on"
    if reply.finish_reason == "length" and len(reply.token_ids) != request.max_tokens:
        return "stops before the limit"
    if reply.text != evidence.text:
        return "the text is not what its tokens spell"
    return None
