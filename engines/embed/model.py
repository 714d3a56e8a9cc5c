"""Sentence embeddings: the mean of a transformer's token states, scaled to length 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModel, AutoTokenizer

from ranvier.engines import memory
from ranvier.engines.alike import by_length
from ranvier.engines.errors import TextTooLong
from ranvier.engines.models import ModelInfo
from ranvier.engines.text.network import digest_of
from ranvier.engines.wide import widen

MAX_TOKENS: Final = 256
"""What all-MiniLM-L6-v2 was trained for; longer texts are refused: a vector of their beginning would be a guess."""
BATCH: Final = 32


class SentenceEmbedder:
    """An `Embedder`. Blocking; owned by one thread. A batch holds texts of one length, and no padding."""

    def __init__(self, name: str, source: str, *, digest: str, device: str, dtype: str) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        self._tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
        self._model: Any = AutoModel.from_pretrained(
            source, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False
        )
        self._model.eval().to(device)
        widen(self._model, memory.free() // 2)
        self._info = ModelInfo(
            id=name,
            kind="embed",
            digest=digest or digest_of(Path(source)),
            dtype=dtype,
            device=device,
            extra={
                "dimensions": int(self._model.config.hidden_size),
                "max_tokens": MAX_TOKENS,
                "longer": "refused",
                "pooling": "mean of all token states",
                "normalised": "length 1 (L2)",
                "shortened": "no: not trained for fewer dimensions (no matryoshka)",
            },
        )

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        return self._info

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Unit vectors, in the order of the texts. Raises `TextTooLong`, before anything is computed."""
        coded: list[list[int]] = self._tokenizer(list(texts))["input_ids"] if texts else []
        for place, ids in enumerate(coded):
            if len(ids) > MAX_TOKENS:
                raise TextTooLong(place, len(ids), MAX_TOKENS)
        found: list[tuple[float, ...]] = [()] * len(texts)
        for places in by_length([len(ids) for ids in coded], BATCH):
            for place, vector in zip(places, self._batch([coded[k] for k in places]), strict=True):
                found[place] = vector
        return found

    def _batch(self, rows: list[list[int]]) -> list[tuple[float, ...]]:
        ids = torch.tensor(rows, device=self._info.device)
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.float()
            unit = torch.nn.functional.normalize(states.mean(1), dim=-1)
        return [tuple(row) for row in unit.tolist()]
