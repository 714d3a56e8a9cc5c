"""What a prefill costs beside generation: CPU seconds of this process, in turn, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ranvier.engines.text.model import CausalText
from ranvier.subnets.text.ways import in_batches, judged, requests

T = TypeVar("T")
ANSWERS, ALONE, TOKENS = 32, 3, 48


@dataclass(frozen=True)
class Costs:
    """CPU seconds for an answer."""

    verifying: float
    batched: float
    """Generated in batches of `ANSWERS`."""
    alone: float


def measured(model: CausalText, turns: int) -> Costs:
    """The mean of so many turns; verifier and miner are one model."""
    sums = [0.0, 0.0, 0.0]
    for turn in range(turns):
        asked = requests(ANSWERS, TOKENS, f"costs|{turn}")
        seconds, made = _timed(lambda: in_batches(model, ANSWERS)(asked))  # noqa: B023  called at once
        sums[0] += seconds / ANSWERS
        sums[1] += _timed(lambda: judged(model, asked, made))[0] / ANSWERS  # noqa: B023
        sums[2] += _timed(lambda: in_batches(model, 1)(asked[:ALONE]))[0] / ALONE  # noqa: B023
    return Costs(sums[1] / turns, sums[0] / turns, sums[2] / turns)


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    began = time.process_time()
    result = call()
    return time.process_time() - began, result
