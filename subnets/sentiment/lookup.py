"""Finding the public sentences inside a text: what look-up cheats are made of, and what the tests measure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

from ranvier.subnets.sentiment.corpus import load_corpus

_WORD = re.compile(r"[a-z']+")
_GRAM = 3


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


class SentenceIndex:
    """The whole public data set, pool included, searched exactly or by shared word trigrams."""

    def __init__(self, sentences: Path) -> None:
        corpus = load_corpus(sentences, "all")
        self._known = [(tuple(_words(s)), -1) for s in corpus.negative]
        self._known += [(tuple(_words(s)), 1) for s in corpus.positive]
        self._exact = {" ".join(words): polarity for words, polarity in self._known}
        self._grams: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, (words, _) in enumerate(self._known):
            for gram in _grams(words):
                self._grams[gram].append(number)

    def exact(self, text: str) -> list[int]:
        """Polarities (-1, 1) of the sentences that stand word for word in the text."""
        words = _words(text)
        found = []
        for start in range(len(words)):
            for length in range(4, 26):
                polarity = self._exact.get(" ".join(words[start : start + length]))
                if polarity is not None and start + length <= len(words):
                    found.append(polarity)
        return found

    def fuzzy(self, text: str, least: float = 0.3) -> list[int]:
        """Polarities of the sentences of which at least a share ``least`` of trigrams occurs, best match
        first.
        """
        shared = Counter(
            number for gram in _grams(tuple(_words(text))) for number in self._grams.get(gram, ())
        )
        rated = [(count / len(_grams(self._known[number][0])), number) for number, count in shared.items()]
        return [self._known[number][1] for share, number in sorted(rated, reverse=True) if share >= least]


def _grams(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {words[i : i + _GRAM] for i in range(len(words) - _GRAM + 1)}
