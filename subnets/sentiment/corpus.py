"""The real sentences that texts are made of, as ``models prepare`` stored them.

A sentence belongs to the *pool* of tasks or to *training* by its own hash, so that the shipped model has seen
no sentence that it is examined on. (Anyone may train on all of it: the sentences are public; the stances are
not theirs.)
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from ranvier.subnets.sentiment.errors import CorpusMissing, CorpusUnreadable

Part = Literal["pool", "training", "all"]

_TURN = re.compile(
    r"\b(but|though|although|despite|while|however|yet|unless|except|if|or|either)\b|[?\[\]]", re.IGNORECASE
)
"""Where a sentence turns, hedges, asks or was cut, its label may not be that of the whole: it is not used."""
_LEAST, _MOST = 5, 24
_POOL_SHARE = 4


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sentences by polarity."""

    negative: tuple[str, ...]
    positive: tuple[str, ...]

    def draw(self, rng: random.Random, polarity: int, other_than: str | None = None) -> str:
        """One sentence of the given polarity (-1 or 1)."""
        sentences = self.positive if polarity > 0 else self.negative
        while (sentence := rng.choice(sentences)) == other_than:
            pass
        return sentence


def in_pool(sentence: str) -> bool:
    """Whether tasks are made of this sentence (one in four), else it is for training."""
    return hashlib.sha256(sentence.encode()).digest()[0] % _POOL_SHARE == 0


def usable(sentence: str) -> bool:
    """Whether a sentence says one thing in a sensible length, so that its label can be trusted inside a
    frame.
    """
    words = len(sentence.split())
    return _LEAST <= words <= _MOST and not sentence.startswith("...") and _TURN.search(sentence) is None


@cache
def load_corpus(path: Path, part: Part = "pool") -> Corpus:
    """Read the stored sentences: JSON lines of {"text", "label" (0 or 1)}.

    Raises `CorpusMissing` or `CorpusUnreadable`.
    """
    if not path.exists():
        raise CorpusMissing(path)
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        labelled = [(str(row["text"]), int(row["label"])) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusUnreadable(path, repr(error)) from error
    corpus = corpus_of(
        (text, label) for text, label in labelled if part == "all" or in_pool(text) == (part == "pool")
    )
    if min(len(corpus.negative), len(corpus.positive)) < 50:
        raise CorpusUnreadable(path, "fewer than 50 usable sentences of a polarity")
    return corpus


def corpus_of(labelled: Iterable[tuple[str, int]]) -> Corpus:
    """The usable ones among (sentence, 0 or 1)."""
    kept: dict[int, list[str]] = {0: [], 1: []}
    for text, label in labelled:
        if usable(text):
            kept[label].append(text)
    return Corpus(negative=tuple(kept[0]), positive=tuple(kept[1]))
