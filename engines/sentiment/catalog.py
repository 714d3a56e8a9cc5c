"""The sentiment models that ship, by name; importing this does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ranvier.engines.sentiment.errors import UnknownVariant

if TYPE_CHECKING:
    from ranvier.engines.models import Classifier

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Variant:
    """One served model: a shipped weight file and, for the pruned one, which encoder layers run."""

    name: str
    weights: Path
    kept_layers: tuple[int, ...] | None = None


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("sentiment", _HERE / "sentiment.safetensors"),
        Variant("sentiment-finance", _HERE / "sentiment-finance.safetensors"),
        Variant("sentiment-small", _HERE / "sentiment-small.safetensors"),
        Variant("sentiment-pruned", _HERE / "sentiment.safetensors", kept_layers=(0, 1, 5)),
    )
}
"""``sentiment`` (6 layers), ``sentiment-finance`` (6 layers, for headlines), ``sentiment-small`` (3 layers, trained as
such: an honest weaker miner) and ``sentiment-pruned`` (the first with half of its
layers skipped, untrained: a cheat's model, for tests)."""


def load_sentiment(name: str, body: Path, *, device: str = "cpu", dtype: str = "float32") -> Classifier:
    """Load a variant over the MiniLM folder ``body`` (imports torch).

    Raises `UnknownVariant`, `WeightsMissing` or `BodyMismatch`.
    """
    if name not in VARIANTS:
        raise UnknownVariant(name, tuple(VARIANTS))
    from ranvier.engines.sentiment.model import SentimentClassifier

    return SentimentClassifier(VARIANTS[name], body, device=device, dtype=dtype)
