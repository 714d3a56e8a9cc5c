"""The word lists of ``words.toml``."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Titles(BaseModel):
    """Parts of film titles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    names: tuple[str, ...]


class Lexicon(BaseModel):
    """Words that praise and words that blame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    good: frozenset[str]
    bad: frozenset[str]


class Words(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    titles: Titles
    lexicon: Lexicon


@cache
def load_words() -> Words:
    """Read the packaged file once."""
    return Words.model_validate(tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8")))
