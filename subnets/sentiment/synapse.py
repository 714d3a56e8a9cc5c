"""What a miner is asked and what it answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ranvier.protocol import Reply as ReplyModel
from ranvier.protocol import Synapse

Label = Literal["negative", "neutral", "positive"]
LABELS: tuple[Label, Label, Label] = ("negative", "neutral", "positive")
"""Order of every triple of probabilities."""

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

TOLERANCE = 1e-3
"""How far a triple's sum may be from 1: room for rounding to four places, for nothing else."""


class Passage(BaseModel):
    """One text and the film it is asked about: what does its writer think of ``target``?"""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, max_length=4000)
    target: str = Field(default="", max_length=200, description="empty: the text as a whole")


class Opinion(BaseModel):
    """The answer for one passage; ``label`` is the (or a) most probable one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Label
    probabilities: tuple[Probability, Probability, Probability]

    @model_validator(mode="after")
    def _coherent(self) -> Opinion:
        """Refuse triples that are no distribution and labels that contradict them."""
        if abs(sum(self.probabilities) - 1) > TOLERANCE:
            raise ValueError("probabilities must sum to 1 within 0.001")
        if self.probabilities[LABELS.index(self.label)] < max(self.probabilities) - TOLERANCE:
            raise ValueError("label is not the most probable class")
        return self

    @classmethod
    def of(cls, probabilities: tuple[float, ...]) -> Opinion:
        """From unnormalised non-negative weights in the order of `LABELS`."""
        total = sum(probabilities)
        negative, neutral, positive = (p / total for p in probabilities)
        best = max(range(3), key=lambda k: probabilities[k])
        return cls(label=LABELS[best], probabilities=(negative, neutral, positive))


class Sentiment(Synapse):
    """Say, for each passage, what its writer thinks of the target."""

    passages: tuple[Passage, ...] = Field(min_length=1, max_length=32)

    class Reply(ReplyModel):
        """One opinion for each passage, in order."""

        opinions: tuple[Opinion, ...] = Field(min_length=1, max_length=32)
