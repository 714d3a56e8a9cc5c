"""How the next token of an answer is chosen: seeded, or freely with whatever a caller asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ranvier.engines.models import SEEDED_GUMBEL, Sampling
from ranvier.engines.text.gumbel import Floats, choose, pick, tempered, unseeded_noise

NEUTRAL: Final = {
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
}
"""Parameters that a seeded answer knows nothing of, with the values at which they do nothing."""


def check(sampling: Sampling) -> None:
    """Raises ValueError for a seed beside what is no part of seeded-gumbel-v1."""
    if sampling.seed is None:
        return
    for name, neutral in NEUTRAL.items():
        if getattr(sampling, name) != neutral:
            raise ValueError(
                f"{name}: {SEEDED_GUMBEL} has temperature and top_p only; leave it out, or the seed"
            )


def next_token(logits: Floats, sampling: Sampling, prompt: Sequence[int], written: Sequence[int]) -> int:
    """The token after ``written``; ``logits`` stay as they are."""
    if all(getattr(sampling, name) == neutral for name, neutral in NEUTRAL.items()):
        return pick(logits, sampling.seed, len(written), sampling.temperature, sampling.top_p)
    return _free(penalised(logits, sampling, prompt, written), sampling)


def penalised(logits: Floats, sampling: Sampling, prompt: Sequence[int], written: Sequence[int]) -> Floats:
    """Repetition (over prompt and answer, Keskar et al. 2019), then presence and frequency (over the answer)."""
    made = logits.copy()
    if sampling.repetition_penalty != 1:
        known = np.unique(np.array([*prompt, *written], dtype=np.int64))
        found = made[known]
        made[known] = np.where(
            found > 0, found / sampling.repetition_penalty, found * sampling.repetition_penalty
        )
    if written and (sampling.presence_penalty or sampling.frequency_penalty):
        tokens, counts = np.unique(np.array(written, dtype=np.int64), return_counts=True)
        made[tokens] -= sampling.presence_penalty + sampling.frequency_penalty * counts
    return made


def _free(logits: Floats, sampling: Sampling) -> int:
    """Temperature, then top-k, min-p (a share of the best one's probability) and top-p, over what each leaves."""
    if sampling.temperature == 0:
        return choose(logits)
    cut = logits.copy()
    if 0 < sampling.top_k < len(cut):
        cut[np.argsort(-cut, kind="stable")[sampling.top_k :]] = -np.inf
    if sampling.min_p > 0:
        cut[cut < cut.max() + sampling.temperature * np.log(sampling.min_p)] = -np.inf
    return choose(tempered(cut, sampling.temperature, sampling.top_p) + unseeded_noise(len(cut)))
