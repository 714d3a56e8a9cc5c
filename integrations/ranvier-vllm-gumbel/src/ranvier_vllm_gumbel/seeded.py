"""One seeded request: read from its sampling parameters, and the token that it must get next. Knows no vLLM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from ranvier.engines.chat import SEED
from ranvier.engines.text.gumbel import pick

SEED_BYTES: Final = 32
NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "n": (1,),
    "top_k": (0, -1),
    "min_p": (0.0,),
    "min_tokens": (0,),
    "presence_penalty": (0.0,),
    "frequency_penalty": (0.0,),
    "repetition_penalty": (1.0,),
    "logit_bias": (None, {}),
    "allowed_token_ids": (None, []),
    "bad_words": (None, []),
    "structured_outputs": (None,),
}
"""Sampling parameters that would change a choice, and their values that do not: the specification knows none."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """``said`` is vLLM's own list of the tokens so far: it grows while the request runs."""

    seed: bytes
    temperature: float
    top_p: float
    said: Sequence[int]

    @classmethod
    def of(cls, params: Any, said: Sequence[int] = ()) -> Self | None:
        """From vLLM's ``SamplingParams``; None for a request without a seed. Raises ValueError for one not provable."""
        text = (params.extra_args or {}).get(SEED)
        if text is None:
            return None
        seed = _bytes(text)
        for name, values in NEUTRAL.items():
            if (value := getattr(params, name, values[0])) not in values:
                raise ValueError(f"{SEED}: seeded-gumbel-v1 has no {name}, it was {value!r}")
        return cls(seed, float(params.temperature), float(params.top_p), said)

    def choose(self, logits: npt.NDArray[np.float32]) -> int:
        """The token of seeded-gumbel-v1 for the position that comes next."""
        wide = logits.astype(np.float64)
        return pick(wide, self.seed, len(self.said), self.temperature, self.top_p)


def _bytes(text: Any) -> bytes:
    try:
        seed = bytes.fromhex(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{SEED} is hex") from error
    if len(seed) != SEED_BYTES:
        raise ValueError(f"{SEED} is of {SEED_BYTES} bytes, as hex; it has {len(seed)}")
    return seed
