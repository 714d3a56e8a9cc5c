"""Served models: a model of any kind behind its worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier.engines.errors import TextTooLong
from ranvier.engines.meter import EngineMeter
from ranvier.engines.models import Classifier, Embedder, ImageModel, ModelInfo, TextModel
from ranvier.engines.texts import GENERATE, SCORE, TextFlow
from ranvier.engines.worker import Job, Worker

Model = TextModel | ImageModel | Classifier | Embedder


class Served:
    """One model that is being served."""

    def __init__(
        self, model: Model, meter: EngineMeter, *, max_batch: int = 16, max_queue: int = 128
    ) -> None:
        self._model: Any = model
        self._runs = {
            "image": self._image,
            "classify": self._classify,
            "embed": self._embed,
        }
        self._meter = meter.of(model.info, lambda: self.worker.waiting, lambda: self.running)
        self._now = 0
        """Requests of a batch that runs as one."""
        self._flow = TextFlow(model, self._meter, max_batch)
        flows = {GENERATE: self._flow, SCORE: self._flow} if model.info.kind == "text" else {}
        self.worker = Worker(model.info.id, self._run, flows=flows, max_batch=max_batch, max_queue=max_queue)

    @property
    def info(self) -> ModelInfo:
        """What is declared of the model."""
        info: ModelInfo = self._model.info
        return info

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self.worker.waiting

    @property
    def running(self) -> int:
        """Requests in the batch that runs now."""
        return self._now + self._flow.size

    async def do(self, batch: str, item: Any, on_piece: Callable[[str], None] | None = None) -> Any:
        """Queue a request and wait for its result; raises `Full`, `Stopped`, or what the model raised."""
        with self._meter.request():
            return await self.worker.do(batch, item, on_piece)

    def _run(self, batch: str, jobs: Sequence[Job]) -> Sequence[Any]:
        self._now = len(jobs)
        try:
            with self._meter.batch(len(jobs)):
                return self._runs[self.info.kind](batch, jobs)
        finally:
            self._now = 0

    def _image(self, batch: str, jobs: Sequence[Job]) -> Sequence[Any]:
        return _split(jobs, self._model.generate)

    def _classify(self, batch: str, jobs: Sequence[Job]) -> Sequence[Any]:
        return _split(jobs, self._model.classify)

    def _embed(self, batch: str, jobs: Sequence[Job]) -> Sequence[Any]:
        try:
            return _split(jobs, self._model.embed)
        except TextTooLong:
            return [_alone(job, self._model.embed) for job in jobs]


def _alone(job: Job, run: Callable[[list[Any]], Sequence[Any]]) -> Sequence[Any] | TextTooLong:
    """One caller's own result or refusal: a text that is too long is not the others' fault."""
    try:
        return run(job.item)
    except TextTooLong as refusal:
        return refusal


def _split(jobs: Sequence[Job], run: Callable[[list[Any]], Sequence[Any]]) -> list[Any]:
    """Run the lists of all jobs as one list and give each job its part."""
    results = run([item for job in jobs for item in job.item])
    parts, start = [], 0
    for job in jobs:
        parts.append(results[start : start + len(job.item)])
        start += len(job.item)
    return parts
