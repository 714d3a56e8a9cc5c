"""seeded-gumbel-v1: sampling that anybody with the seed can repeat. docs/seeded-gumbel-v1.md is the normative page."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

DOMAIN: Final = b"seeded-gumbel-v1\0"
ROUNDING: Final = 1e-6
"""Far above what sums of doubles lose, far below any noise."""
Floats = npt.NDArray[np.float64]


def gumbel_noise(seed: bytes, position: int, vocabulary: int) -> Floats:
    """Standard Gumbel noise for every token id, of shape (vocabulary,).

    Philox 4x64-10 keyed by the first 16 bytes of SHA-256(domain, seed, position as 8 bytes little-endian), counter 0;
    u = ((x >> 11) + 1/2) / 2**53; noise = -ln(-ln(u)). ``position`` counts generated tokens from 0.
    """
    return _noise(_raw(seed, position, vocabulary))


def tempered(logits: Floats, temperature: float, top_p: float) -> Floats:
    """Log-probabilities after temperature, then top-p; what top-p removes is -inf. ``temperature`` is above 0.

    The nucleus is the shortest prefix of the tokens, by falling probability and rising id, whose sum reaches ``top_p``.
    """
    scaled = logits / temperature
    log_probability = scaled - _log_sum_exp(scaled)
    if top_p >= 1:
        return log_probability
    order = np.argsort(-log_probability, kind="stable")
    reached = np.cumsum(np.exp(log_probability[order]))
    kept = int(np.searchsorted(reached, top_p)) + 1
    log_probability[order[kept:]] = -np.inf
    return log_probability


def scores(logits: Floats, seed: bytes | None, position: int, temperature: float, top_p: float) -> Floats:
    """What is maximised: tempered log-probability plus noise; at temperature 0 the logits themselves."""
    if temperature == 0:
        return logits
    noise = unseeded_noise(len(logits)) if seed is None else gumbel_noise(seed, position, len(logits))
    return tempered(logits, temperature, top_p) + noise


def pick(logits: Floats, seed: bytes | None, position: int, temperature: float, top_p: float) -> int:
    """``choose(scores(...))``, in a fraction of the time where nothing is cut off.

    Without top-p the normalising constant moves no choice, and a token whose logit lies further below the best than the
    largest noise reaches cannot win: logarithms are taken for the few that can.
    """
    if temperature == 0 or top_p < 1 or seed is None:
        return choose(scores(logits, seed, position, temperature, top_p))
    return _pick(logits / temperature, _raw(seed, position, len(logits)))


def _pick(scaled: Floats, raw: npt.NDArray[np.uint64]) -> int:
    best = int(np.argmax(scaled))
    reach = _noise(raw.max(keepdims=True))[0] - _noise(raw[best : best + 1])[0]
    able = np.flatnonzero(scaled >= scaled[best] - reach - ROUNDING)
    return int(able[np.argmax(scaled[able] + _noise(raw[able]))])


class Weighed(NamedTuple):
    """What one token of an answer shows: see `ranvier.engines.models.TokenEvidence`."""

    expected: int
    margin: float
    logprob: float
    entropy: float
    lean: float


def weigh(
    logits: Floats, token: int, seed: bytes | None, position: int, temperature: float, top_p: float
) -> Weighed:
    """Compare a token with the seeded choice; margin and lean are infinite where the token could not be chosen."""
    if temperature == 0:
        best = choose(logits)
        gap = float(logits[best] - logits[token])
        return Weighed(best, gap, log_softmax_at(logits, token), 0.0, -gap)
    if top_p < 1 or seed is None:
        cut = tempered(logits, temperature, top_p)
        noise = unseeded_noise(len(logits)) if seed is None else gumbel_noise(seed, position, len(logits))
        best = choose(cut + noise)
        gap = float(cut[best] + noise[best] - (cut[token] + noise[token]))
        lean = float(cut[token] - cut[best])
        return Weighed(best, gap, log_softmax_at(logits, token), entropy(cut), lean)
    scaled, raw = logits / temperature, _raw(seed, position, len(logits))
    best = _pick(scaled, raw)
    two = np.array([best, token])
    one, other = scaled[two] + _noise(raw[two])
    shifted = (scaled - scaled.max()).astype(np.float32)
    weights = np.exp(shifted)
    total = float(weights.sum())
    weights *= shifted  # a product of two vectors would wake the threads of a BLAS
    nats = float(np.log(total)) - float(weights.sum()) / total
    lean = float(scaled[token] - scaled[best])
    return Weighed(best, float(one - other), log_softmax_at(logits, token), nats, lean)


def choose(perturbed: Floats) -> int:
    """The token: the largest score, of equals the lowest id."""
    return int(np.argmax(perturbed))


def unseeded_noise(vocabulary: int) -> Floats:
    """Gumbel noise from the operating system's entropy."""
    return np.random.default_rng().gumbel(size=vocabulary)


def log_softmax_at(logits: Floats, token: int) -> float:
    """The natural log of the model's own probability (temperature 1) of ``token``."""
    top = float(logits.max())
    total = np.exp((logits - top).astype(np.float32)).sum(dtype=np.float64)
    return float(logits[token]) - top - float(np.log(total))


def entropy(log_probability: Floats) -> float:
    """Nats of a distribution given by logs; -inf entries count nothing."""
    kept = log_probability[np.isfinite(log_probability)]
    return float(-(np.exp(kept) * kept).sum())


def _log_sum_exp(values: Floats) -> float:
    top = float(values.max())
    return top + float(np.log(np.exp(values - top).sum()))


def _raw(seed: bytes, position: int, vocabulary: int) -> npt.NDArray[np.uint64]:
    digest = hashlib.sha256(DOMAIN + seed + position.to_bytes(8, "little")).digest()
    key = np.frombuffer(digest[:16], dtype="<u8")
    return np.random.Philox(key=key).random_raw(vocabulary)


def _noise(raw: npt.NDArray[np.uint64]) -> Floats:
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return -np.log(-np.log(uniform))
