"""The served sentiment classifier: shipped weights over the MiniLM body of the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoTokenizer

from ranvier.engines import memory
from ranvier.engines.alike import by_length
from ranvier.engines.models import ModelInfo
from ranvier.engines.sentiment.catalog import Variant
from ranvier.engines.sentiment.errors import BodyMismatch, WeightsMissing
from ranvier.engines.sentiment.network import LABELS, MAX_TOKENS, SentimentNetwork, Shape, merge
from ranvier.engines.wide import widen

_BATCH = 32


@dataclass(frozen=True, slots=True)
class _Shipped:
    """A weight file's content."""

    shape: Shape
    body_sha256: str
    tensors: dict[str, torch.Tensor]


class SentimentClassifier:
    """Texts to probabilities of negative, neutral, positive; a `ranvier.engines.models.Classifier`.

    A text about one film among several is asked as ``"<title>? <text>"``. Blocking; call it from one thread.
    """

    def __init__(self, variant: Variant, body: Path, *, device: str = "cpu", dtype: str = "float32") -> None:
        shipped = _read(variant.weights)
        _check_body(body, shipped.body_sha256)
        self._network = SentimentNetwork(body, shipped.shape)
        self._network.load_state_dict(shipped.tensors, strict=False)
        merge(self._network)
        if variant.kept_layers is not None:
            layers = self._network.encoder.encoder.layer
            self._network.encoder.encoder.layer = torch.nn.ModuleList(layers[k] for k in variant.kept_layers)
        self._network.eval().to(device=device, dtype=getattr(torch, dtype))
        widen(self._network, memory.free() // 2)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(body, local_files_only=True)
        self._info = ModelInfo(
            id=variant.name,
            kind="classify",
            digest=_digest(variant, shipped.body_sha256),
            dtype=dtype,
            device=device,
            extra={"labels": list(LABELS), "max_tokens": MAX_TOKENS, "longer": "cut"},
        )

    @property
    def info(self) -> ModelInfo:
        """What is declared of this model; the digest covers body, corrections, head and the layers in use."""
        return self._info

    def classify(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Probabilities in the order of ``info.extra["labels"]``, one triple for each text, in order."""
        coded: list[list[int]] = (
            self._tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"] if texts else []
        )
        found: list[tuple[float, ...]] = [()] * len(texts)
        for places in by_length([len(ids) for ids in coded], _BATCH):
            for place, triple in zip(places, self._batch([coded[k] for k in places]), strict=True):
                found[place] = triple
        return found

    def _batch(self, rows: list[list[int]]) -> list[tuple[float, ...]]:
        ids = torch.tensor(rows, device=self._info.device)
        with torch.inference_mode():
            logits = self._network(ids, torch.ones_like(ids)).float() / self._network.temperature.float()
        triples: list[list[float]] = logits.double().softmax(-1).tolist()
        return [tuple(triple) for triple in triples]


def _read(weights: Path) -> _Shipped:
    if not weights.is_file():
        raise WeightsMissing(weights)
    with safe_open(str(weights), framework="pt") as file:
        facts = file.metadata()
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    shape = Shape(layers=int(facts["layers"]), rank=int(facts["rank"]), alpha=float(facts["alpha"]))
    return _Shipped(shape, facts["body_sha256"], tensors)


def _check_body(body: Path, expected: str) -> None:
    """Corrections fit one body only: another would give confident nonsense without an error."""
    file = body / "model.safetensors"
    if not file.is_file():
        raise WeightsMissing(file)
    with file.open("rb") as raw:
        found = hashlib.file_digest(raw, "sha256").hexdigest()
    if found != expected:
        raise BodyMismatch(file, found, expected)


def _digest(variant: Variant, body_sha256: str) -> str:
    with variant.weights.open("rb") as raw:
        weights = hashlib.file_digest(raw, "sha256").hexdigest()
    parts = {"body": body_sha256, "weights": weights, "layers": variant.kept_layers}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
