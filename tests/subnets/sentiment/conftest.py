"""A small made-up corpus with the shape of the prepared one, and a store that holds it, for tests without downloads."""

import itertools
import json

import pytest

_SUBJECTS = [
    "the plot",
    "its hero",
    "the music",
    "the camera work",
    "every scene",
    "the dialogue",
    "this drama",
    "the cast",
]
_PRAISE = [
    "shines with warmth",
    "is a delightful surprise",
    "moves us deeply",
    "feels fresh and honest",
    "works brilliantly",
]
_BLAME = [
    "is dull and lifeless",
    "drags all the way",
    "feels forced and tired",
    "lacks any charm",
    "wastes our time",
]
_PLACES = ["in the harbour town", "on the old railway", "during one long winter", "at the edge of the desert"]
_ENDS = ["again", "as ever", "from the first minute"]


def _rows(subjects, praise, blame, places):
    for label, phrases in ((1, praise), (0, blame)):
        for subject, phrase, place, end in itertools.product(subjects, phrases, places, _ENDS):
            yield json.dumps({"text": f"{subject} {phrase} {place} {end}.", "label": label}) + "\n"


@pytest.fixture
def private_file(tmp_path):
    """Sentences that are not in the store."""
    path = tmp_path / "private.jsonl"
    praise, blame = (
        ["wins us over", "repays patience", "glows softly"],
        ["tries our patience", "sags badly", "grates"],
    )
    places = ["beside a quiet river", "under grey clouds", "through a hot summer"]
    path.write_text(
        "".join(_rows(["our heroine", "that score", "each stunt"], praise, blame, places)), "utf-8"
    )
    return path


@pytest.fixture
def corpus_file(tmp_path, monkeypatch):
    """The prepared file of a store under RANVIER_HOME."""
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path))
    path = tmp_path / "models" / "sentences" / "sentences.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(_rows(_SUBJECTS, _PRAISE, _BLAME, _PLACES)), "utf-8")
    return path
