"""Sentence embeddings: the mean of a transformer's token states, scaled to length 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModel, AutoTokenizer

from ranvier.engines.models import ModelInfo
from ranvier.engines.text.network import digest_of

MAX_TOKENS: Final = 256
BATCH: Final = 32


class SentenceEmbedder:
    """An `Embedder`. Blocking; owned by one thread. Batches hold texts of alike length, so padding is short."""

    def __init__(self, name: str, source: str, *, digest: str, device: str, dtype: str) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        self._model: Any = AutoModel.from_pretrained(
            source, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False
        )
        self._model.eval().to(device)
        self._info = ModelInfo(
            id=name,
            kind="embed",
            digest=digest or digest_of(Path(source)),
            dtype=dtype,
            device=device,
            extra={"dimensions": int(self._model.config.hidden_size), "max_tokens": MAX_TOKENS},
        )

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        return self._info

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Unit vectors, in the order of the texts."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        found: list[tuple[float, ...]] = [()] * len(texts)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            for number, vector in zip(chosen, self._batch([texts[number] for number in chosen]), strict=True):
                found[number] = vector
        return found

    def _batch(self, texts: list[str]) -> list[tuple[float, ...]]:
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).to(self._info.device)
        with torch.inference_mode():
            states = self._model(**tokens).last_hidden_state.float()
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            mean = (states * mask).sum(1) / mask.sum(1)
            unit = torch.nn.functional.normalize(mean, dim=-1)
        return [tuple(row) for row in unit.tolist()]
