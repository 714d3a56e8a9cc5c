"""Generated headlines: the same seed gives the same, labels are even, what is withheld stays so."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path

from ranvier.engines.training.finance import LABELS, rows, withheld

HEADLINES = Path(__file__).parents[2] / "benchmarks" / "engines" / "headlines"
PHRASES = tomllib.loads((files("ranvier.engines.training") / "finance.toml").read_text("utf-8"))


def letters(text: str) -> str:
    return re.sub(r"[^a-z]+", "", text.lower())


def hand_written(name: str) -> list[tuple[str, str]]:
    lines = [line for line in (HEADLINES / name).read_text("utf-8").splitlines() if not line.startswith("#")]
    return [(text, label) for label, _, text in (line.split("\t") for line in lines[1:])]


def test_the_same_seed_gives_the_same_headlines_and_labels_are_even() -> None:
    made = rows("training", 1500, 4)
    assert made == rows("training", 1500, 4)
    assert made != rows("training", 1500, 5)
    counts = Counter(row["label"] for row in made)
    assert set(counts) == {0, 1, 2}
    assert min(counts.values()) > 400
    assert not [row["text"] for row in made if re.search(r"[{}]", row["text"])]


def test_held_events_are_in_no_training_text() -> None:
    events = [
        one for phrases in PHRASES["company"].values() for one in phrases if withheld(one) and "{" not in one
    ]
    assert len(events) > 20
    trained = {row["text"] for row in rows("training", 2000, 1)}
    assert not [text for text in trained for event in events if text.endswith(f" {event}")]


def test_no_phrase_has_two_labels() -> None:
    for group in ("company", "standalone"):
        found = Counter(phrase for phrases in PHRASES[group].values() for phrase in phrases)
        assert [phrase for phrase, count in found.items() if count > 1] == []


def test_hand_written_headlines_are_balanced_distinct_and_never_generated() -> None:
    test, dev = hand_written("test.tsv"), hand_written("dev.tsv")
    for file, least in ((test, 150), (dev, 60)):
        counts = Counter(label for _, label in file)
        assert len(file) >= least
        assert set(counts) == set(LABELS)
        assert len(set(counts.values())) == 1
    texts = [letters(text) for text, _ in test + dev]
    assert len(set(texts)) == len(texts)
    assert not set(texts) & {letters(row["text"]) for row in rows("training", 3000, 1)}
