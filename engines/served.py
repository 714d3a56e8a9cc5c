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
        if batch in ("steps", "decode"):
            return _split(jobs, getattr(self._model, batch))
        draw = self._model.trace if batch == "trace" else self._model.generate
        owners = [job for job in jobs for _ in job.item]

        def progress(step: int, places: Sequence[int]) -> bool:
            """Tell those who want to hear of steps; says whether anybody still waits."""
            for job in {id(owners[place]): owners[place] for place in places}.values():
                _tell(job, str(step))
            return not all(owners[place].cancelled.is_set() for place in places)

        return _split(jobs, lambda items: draw(items, progress))

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


def _tell(job: Job, piece: str) -> None:
    if job.on_piece is not None and not job.cancelled.is_set():
        job.done.get_loop().call_soon_threadsafe(job.on_piece, piece)


def _split(jobs: Sequence[Job], run: Callable[[list[Any]], Sequence[Any]]) -> list[Any]:
    """Run the lists of all jobs as one list and give each job its part, or what is wrong with an item of it."""
    results = run([item for job in jobs for item in job.item])
    parts: list[Any] = []
    start = 0
    for job in jobs:
        part = results[start : start + len(job.item)]
        parts.append(next((one for one in part if isinstance(one, Exception)), part))
        start += len(job.item)
    return parts
