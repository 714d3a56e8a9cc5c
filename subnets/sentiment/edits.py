"""Small rewordings that leave a sentence's polarity as it was, so that it stands nowhere as it was."""

from __future__ import annotations

import random
import re

_SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("film", "movie", "picture"),
    ("films", "movies", "pictures"),
    ("filmmaker", "director"),
    ("screenplay", "script"),
    ("actors", "players", "performers"),
    ("kids", "children"),
    ("viewers", "spectators"),
    ("audience", "public"),
    ("comedy", "comedic work"),
    ("story", "tale"),
    ("scenes", "sequences"),
    ("ending", "conclusion"),
    ("minutes", "min"),
)
_CONTRACTIONS = (
    ("it's", "it is"),
    ("doesn't", "does not"),
    ("isn't", "is not"),
    ("don't", "do not"),
    ("you'll", "you will"),
    ("can't", "cannot"),
    ("there's", "there is"),
    ("that's", "that is"),
    ("you're", "you are"),
    ("won't", "will not"),
)
_OPENINGS = ("", "", "", "all in all, ", "in short, ", "put simply, ", "to my mind, ", "on the whole, ")
_BY_WORD = {word: group for group in _SYNONYMS for word in group}
_STRAY = re.compile(r"\s*[\x00-\x1f\x7f-\x9f]\s*")
_WORD = re.compile(r"[A-Za-z']+")


def reworded(rng: random.Random, sentence: str) -> str:
    """Another wording of ``sentence``: synonyms, contractions written out, an opening. Double quotes become
    single.
    """
    text = _STRAY.sub(" -- ", sentence.replace('"', "'"))
    for short, long in _CONTRACTIONS:
        if rng.random() < 0.7:
            text = re.sub(rf"\b{short}\b", long, text)
    text = _WORD.sub(lambda found: _other_word(rng, found[0]), text)
    opening = rng.choice(_OPENINGS)
    text = opening + text
    text = text if text[-1] in ".!?'" else text + "."
    return text[:1].upper() + text[1:]


def _other_word(rng: random.Random, word: str) -> str:
    """A synonym, two times in three where there is one."""
    group = _BY_WORD.get(word)
    if group is None or rng.random() < 1 / 3:
        return word
    return rng.choice([other for other in group if other != word])
