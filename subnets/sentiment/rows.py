"""Write training rows for a sentiment model: ``python -m ranvier.subnets.sentiment.rows --help``.

The texts come out of the same public constructions as the tasks, over the sentences set aside for training
and over last sentences of long reviews, together with plain sentences; so an honest miner can learn what the
subnet asks, with any model.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from ranvier.engines.sentiment.sentences import rows
from ranvier.subnets.sentiment.construct import make
from ranvier.subnets.sentiment.corpus import Corpus, Part, corpus_of, in_pool, load_corpus
from ranvier.subnets.sentiment.frames import PUBLIC, load_frames
from ranvier.subnets.sentiment.question import question

Written = dict[str, object]


def constructed_rows(corpus: Corpus, seed: int, count: int, frames: Path = PUBLIC) -> Iterator[Written]:
    """``count`` constructed texts: {"text", "label" in 0..2, "made": true}."""
    patterns, rng = load_frames(frames), random.Random(seed)
    for _ in range(count):
        made = make(rng, corpus, patterns)
        yield {"text": question(made.target, made.text), "label": made.label, "made": True}


def plain_rows(sentences: Path, part: Part) -> Iterator[Written]:
    """Every stored sentence of a part as it is: labels 0 and 2 only."""
    for line in sentences.read_text("utf-8").splitlines():
        row = json.loads(line)
        if in_pool(row["text"]) == (part == "pool"):
            yield {"text": row["text"], "label": 2 * int(row["label"]), "made": False}


def last_sentences(wheel: Path) -> list[tuple[str, int]]:
    """The last sentence of every long review, where a writer sums up, with the review's label (0 or 1)."""
    ends = ((re.split(r"(?<=[.!])\s+", row.text), row.label) for row in rows(wheel) if row.source == "imdb")
    return [(parts[-1].lower(), label) for parts, label in ends if len(parts[-1].split()) >= 5]


def _some(found: list[Written], count: int | None, seed: int) -> list[Written]:
    return found if count is None else random.Random(seed).sample(found, count)


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="ranvier.subnets.sentiment.rows", description=__doc__)
    parser.add_argument("--sentences", type=Path, required=True, help="the prepared sentences.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines to write")
    parser.add_argument("--part", choices=("training", "pool"), default="training")
    parser.add_argument("--count", type=int, default=30000, help="texts constructed of the stored sentences")
    parser.add_argument(
        "--plain", type=int, help="plain sentences, drawn by the seed; all where none is named"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=Path, default=PUBLIC)
    parser.add_argument(
        "--wheel", type=Path, help="the downloaded data set: adds last sentences of long reviews"
    )
    parser.add_argument(
        "--ends", type=int, default=10000, help="plain last sentences, and texts made of them, to add"
    )
    given = parser.parse_args(arguments)
    written = [
        *_some(list(plain_rows(given.sentences, given.part)), given.plain, given.seed),
        *constructed_rows(load_corpus(given.sentences, given.part), given.seed, given.count, given.frames),
    ]
    if given.wheel:
        ends = last_sentences(given.wheel)
        chosen = random.Random(given.seed).sample(ends, given.ends)
        written += [{"text": text, "label": 2 * label, "made": False} for text, label in chosen]
        written += constructed_rows(corpus_of(ends), given.seed + 1, given.ends, given.frames)
    given.out.write_text("".join(json.dumps(row) + "\n" for row in written), "utf-8")


if __name__ == "__main__":
    main()
