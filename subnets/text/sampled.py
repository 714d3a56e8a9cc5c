"""Answers of each way, made and verified in small portions, kept in a file: what counts and figures are made from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from ranvier.subnets.text.made import Way
from ranvier.subnets.text.ways import judged, requests
from ranvier.subnets.verification.endings import EARLY, ending_fault
from ranvier.subnets.verification.logprobs import distance
from ranvier.subnets.verification.tokens import Seen, seen

if TYPE_CHECKING:
    from ranvier.engines.text.model import CausalText

PORTION: Final = 16
"""Answers that are made at once."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer: what its tokens show, what is wrong with its end (None: nothing) without a tie, and how long it is.

    ``away`` is the mean difference (nats) of its log-probabilities from the verifier's; None where it has none.
    """

    seen: tuple[Seen, ...]
    fault: str | None
    tokens: int
    away: float | None = None

    def wrong(self, tie: float) -> str | None:
        """What is wrong with its end, if an end token may lie ``tie`` behind the seeded choice."""
        return None if self.fault == EARLY and self.seen[-1].margin <= tie else self.fault


@dataclass(frozen=True, slots=True)
class Sample:
    """Answers of one way; CPU seconds of this process for making and for verifying them."""

    way: str
    seed: str
    answers: tuple[Judged, ...]
    making: float
    verifying: float

    def joined(self, other: Sample) -> Sample:
        """Both as one."""
        return Sample(
            self.way,
            self.seed,
            self.answers + other.answers,
            self.making + other.making,
            self.verifying + other.verifying,
        )


_ROW: Final = TypeAdapter(Sample)


def sampled(
    verifier: CausalText,
    ways: Mapping[str, Way],
    counts: Mapping[str, int],
    *,
    tokens: int,
    seed: str,
    path: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Sample]:
    """So many answers of each way, at least; rows that ``path`` has are used, new ones are added to it at once.

    Prompts and seeds follow from ``seed``, the way's name and the portion's number, whatever was made before.
    """
    found: dict[str, list[Sample]] = {name: [] for name in ways}
    for row in _rows(path):
        if row.way in found and row.seed == seed:
            found[row.way].append(row)
    while lacking := [name for name in ways if _answers(found[name]) < counts[name]]:
        for name in lacking:
            row = _portion(verifier, name, ways[name], len(found[name]), tokens, seed)
            found[name].append(row)
            if path is not None:
                with path.open("a") as file:
                    file.write(_ROW.dump_json(row).decode() + "\n")
            say(f"{name}: {_answers(found[name])} of {counts[name]} answers")
    return {name: _joined(rows) for name, rows in found.items()}


def _rows(path: Path | None) -> Iterator[Sample]:
    if path is not None and path.exists():
        yield from map(_ROW.validate_json, path.read_text().splitlines())


def _answers(rows: list[Sample]) -> int:
    return sum(len(row.answers) for row in rows)


def _joined(rows: list[Sample]) -> Sample:
    whole = rows[0]
    for row in rows[1:]:
        whole = whole.joined(row)
    return whole


def _portion(verifier: CausalText, name: str, way: Way, number: int, tokens: int, seed: str) -> Sample:
    asked = requests(PORTION, tokens, f"{seed}|{name}|{number}")
    began = time.process_time()
    made = way(asked)
    between = time.process_time()
    evidence = judged(verifier, asked, made)
    after = time.process_time()
    answers = tuple(
        Judged(
            tuple(seen(shown, one.token_ids)),
            ending_fault(one.token_ids, one.finish_reason, one.text, shown, max_tokens=tokens),
            len(one.token_ids),
            distance(one.logprobs, shown.logprob) if one.logprobs else None,
        )
        for one, shown in zip(made, evidence, strict=True)
    )
    return Sample(name, seed, answers, between - began, after - between)
