"""Served models: a model of any kind behind its worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier.engines.models import Classifier, Embedder, ImageModel, ModelInfo, TextModel
from ranvier.engines.worker import Job, Worker

Model = TextModel | ImageModel | Classifier | Embedder


class Served:
    """One model that is being served."""

    def __init__(self, model: Model, *, max_batch: int = 16, max_queue: int = 128) -> None:
        self._model: Any = model
        run = {
            "text": self._text,
            "image": self._image,
            "classify": self._classify,
            "embed": self._embed,
        }[model.info.kind]
        self.worker = Worker(model.info.id, run, max_batch=max_batch, max_queue=max_queue)

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        info: ModelInfo = self._model.info
        return info

    def _text(self, batch: str, jobs: Sequence[Job]) -> Sequence[Any]:
        if batch == "score":
            return _split(jobs, self._model.score)

        def on_token(row: int, _token: int, piece: str) -> bool:
            job = jobs[row]
            if job.on_piece is not None and piece:
                job.done.get_loop().call_soon_threadsafe(job.on_piece, piece)
            return not job.cancelled.is_set()

        found: Sequence[Any] = self._model.generate([job.item for job in jobs], on_token)
        return found

    def _image(self, batch: str, jobs: Sequence[Job]) -> Sequence[Any]:
        return _split(jobs, self._model.generate)

    def _classify(self, batch: str, jobs: Sequence[Job]) -> Sequence[Any]:
        return _split(jobs, self._model.classify)

    def _embed(self, batch: str, jobs: Sequence[Job]) -> Sequence[Any]:
        return _split(jobs, self._model.embed)


def _split(jobs: Sequence[Job], run: Callable[[list[Any]], Sequence[Any]]) -> list[Any]:
    """Run the lists of all jobs as one list and give each job its part."""
    results = run([item for job in jobs for item in job.item])
    parts, start = [], 0
    for job in jobs:
        parts.append(results[start : start + len(job.item)])
        start += len(job.item)
    return parts
