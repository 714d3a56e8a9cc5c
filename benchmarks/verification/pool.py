"""Answers of every kind, made once and verified once: the pool that miners are drawn from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ranvier.subnets.text.ways import Made, Way, judged, requests
from ranvier.subnets.verification import ending_fault, places
from ranvier.subnets.verification.tokens import Place

TOKENS = 48


@dataclass(frozen=True)
class Judged:
    """One answer: the places of its informative tokens, and what is wrong with its end."""

    places: tuple[Place, ...]
    fault: str | None
    tokens: int


@dataclass(frozen=True)
class Pool:
    """Answers of one way; CPU seconds of making and of verifying all of them."""

    answers: tuple[Judged, ...]
    making: float
    verifying: float

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Pool:
        """What `asdict` wrote."""
        answers = tuple(
            Judged(tuple((a, b) for a, b in one["places"]), one["fault"], one["tokens"])
            for one in stored["answers"]
        )
        return cls(answers, stored["making"], stored["verifying"])


def collected(
    verifier: Any,
    ways: Mapping[str, Way],
    counts: Callable[[str], int],
    path: Path,
    say: Callable[[str], None],
) -> dict[str, Pool]:
    """The pool in ``path``, with what it lacks made now; it is written after each way, so that a run can go on."""
    found = (
        {name: Pool.read(one) for name, one in json.loads(path.read_text()).items()} if path.exists() else {}
    )
    for number, (name, way) in enumerate(ways.items()):
        if name in found:
            continue
        found[name] = _made(verifier, way, requests(counts(name), TOKENS, 100 + number))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({key: asdict(one) for key, one in found.items()}))
        one = found[name]
        say(f"{name}: {len(one.answers)} answers, {one.making:.0f} CPU-s made, {one.verifying:.0f} verified")
    return found


def _made(verifier: Any, way: Way, asked: Sequence[Any]) -> Pool:
    began = time.process_time()
    made: list[Made] = way(asked)
    between = time.process_time()
    seen = judged(verifier, asked, made)
    after = time.process_time()
    answers = tuple(
        Judged(
            tuple(places(evidence, one.token_ids)),
            ending_fault(one.token_ids, one.finish_reason, one.text, evidence, max_tokens=TOKENS),
            len(one.token_ids),
        )
        for one, evidence in zip(made, seen, strict=True)
    )
    return Pool(answers, between - began, after - between)
