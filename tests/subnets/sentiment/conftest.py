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


def _rows():
    for label, phrases in ((1, _PRAISE), (0, _BLAME)):
        for subject, phrase, place, end in itertools.product(_SUBJECTS, phrases, _PLACES, _ENDS):
            yield {"text": f"{subject} {phrase} {place} {end}.", "label": label}


@pytest.fixture
def corpus_file(tmp_path, monkeypatch):
    """The prepared file of a store under RANVIER_HOME."""
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path))
    path = tmp_path / "models" / "sentences" / "sentences.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in _rows()), "utf-8")
    return path
