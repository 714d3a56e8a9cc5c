"""Embeddings and probabilities: batch invariance, whom the shipped limits pay, and whom they catch.

    python benchmarks/verification/vectors.py [--texts N] [--models minilm,...] [--json FILE] [--docs FILE]

The texts are others than those that the limits were measured on. Each way computes them once; answers of 16 rows are
drawn from them. An honest answer must be paid; a cheat must be caught within 20 audited answers.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from ranvier.subnets.verification import (
    Distances,
    embedding_worth,
    label_worth,
    probability_worth,
    shipped_distances,
)
from ranvier.subnets.verification.distances import Rows, away
from ranvier.subnets.verification.vector_ways import Ways, texts_for

BEGIN, END = "<!-- begin: python benchmarks/verification/vectors.py -->", "<!-- end -->"
MODELS = {"minilm": "embed", "sentiment": "classify", "sentiment-finance": "classify"}
ROWS, AUDITED, HONEST, MINERS = 16, 20, 1000, 500
WRONG = "one wrong row of 16"


@dataclass(frozen=True)
class Line:
    """One way of computing with one model."""

    model: str
    way: str
    honest: bool
    far: float
    """Largest distance of a row."""
    off: float
    """Largest difference of a component."""
    paid: float
    """Share of answers that are worth something."""
    caught: float
    """Share of miners found out within `AUDITED` answers."""
    labels: float | None
    """The same by labels alone."""

    @property
    def met(self) -> bool:
        """Against the bars."""
        return self.paid >= 0.999 if self.honest else self.caught >= 0.99


def row_worth(known: Distances, given: Sequence[float], own: Sequence[float]) -> bool:
    """Of one row; an answer is worth something if all of its rows are."""
    if known.kind == "embed":
        return embedding_worth([given], [own], distance=known.limit) > 0
    return probability_worth(given, own, distance=known.limit) > 0


def row_label(known: Distances, given: Sequence[float], own: Sequence[float], names: Sequence[str]) -> bool:
    """Of one row, where only its label is told."""
    if not names:
        return True
    said = names[max(range(len(names)), key=given.__getitem__)]
    return label_worth([said], [own], names, tie=known.tie) > 0


def line(known: Distances, names: Sequence[str], way: str, given: Rows, own: Rows, *, honest: bool) -> Line:
    """Answers drawn from a way's rows; the wrong row of `WRONG` is another text's."""
    rng, count = random.Random(7), len(own)
    rows = [(row_worth(known, a, b), row_label(known, a, b, names)) for a, b in zip(given, own, strict=True)]

    @cache
    def wrong(place: int, other: int) -> tuple[bool, bool]:
        return row_worth(known, given[other], own[place]), row_label(known, given[other], own[place], names)

    def answer() -> tuple[bool, bool]:
        found = [rows[rng.randrange(count)] for _ in range(ROWS)]
        if way == WRONG:
            found[0] = wrong(rng.randrange(count), rng.randrange(count))
        return all(row for row, _ in found), all(label for _, label in found)

    paid = sum(answer()[0] for _ in range(HONEST)) / HONEST
    caught = by_label = 0
    for _ in range(0 if honest else MINERS):
        judged = [answer() for _ in range(AUDITED)]
        caught += not all(value for value, _ in judged)
        by_label += not all(value for _, value in judged)
    off = max(abs(a - b) for x, y in zip(given, own, strict=True) for a, b in zip(x, y, strict=True))
    share = by_label / MINERS if names and not honest else None
    far = float(away(known.kind, given, own).max())
    return Line(known.model, way, honest, far, off, paid, caught / MINERS, share)


def of_model(name: str, count: int) -> list[Line]:
    """Every way of one model."""
    ways, known = Ways(MODELS[name], name), shipped_distances(name)
    if ways.info.digest != known.digest:
        raise SystemExit(
            f"{name} is not the model that its limit was measured on; run `ranvier models calibrate`"
        )
    names = list(ways.info.extra.get("labels", [])) if known.kind == "classify" else []
    texts = texts_for(name, count, 99)
    own = ways.own(texts)
    lines = [line(known, names, way, run(texts), own, honest=True) for way, run in ways.honest.items()]
    lines += [line(known, names, way, run(texts), own, honest=False) for way, run in ways.cheap.items()]
    return [*lines, line(known, names, WRONG, own, own, honest=False)]


def shown(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """The table's rows."""
    return [
        (
            one.model,
            ("honest: " if one.honest else "cheat: ") + one.way,
            f"{one.far:.1e}",
            f"{one.off:.1e}",
            f"{one.paid:.3f}",
            "" if one.honest else f"{one.caught:.3f}",
            "" if one.labels is None else f"{one.labels:.3f}",
            "met" if one.met else "NOT MET",
        )
        for one in lines
    ]


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--docs", type=Path, help="put the table into this page, between its marks")
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines = [one for name in given.models.split(",") for one in of_model(name, given.texts)]
    heads = (
        "model",
        "way",
        "farthest row",
        "component",
        "answers paid",
        f"caught in {AUDITED}",
        "by labels",
        "bar",
    )
    table = Table(*heads)
    for row in shown(lines):
        table.add_row(*row)
    Console(width=max(150, Console().width)).print(table)
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in lines], indent=1) + "\n")
    if given.docs:
        before, begin, rest = given.docs.read_text("utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"{given.docs} has no lines {BEGIN!r} and {END!r}")
        told = [f"{time.strftime('%Y-%m-%d')}; torch {torch.__version__}; float32 verifier on a CPU", ""]
        told += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
        told += ["| " + " | ".join(row) + " |" for row in shown(lines)]
        given.docs.write_text(f"{before}{BEGIN}\n" + "\n".join(told) + f"\n{END}{after}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
