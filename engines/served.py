"""Served models: a model of any kind behind its worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier.engines.errors import NoRoom
from ranvier.engines.meter import EngineMeter
from ranvier.engines.models import Classifier, Embedder, ImageModel, ModelInfo, TextModel
from ranvier.engines.worker import Job, More, Settle, Worker

Model = TextModel | ImageModel | Classifier | Embedder


class Served:
    """One model that is being served."""

    def __init__(
        self, model: Model, meter: EngineMeter, *, max_batch: int = 16, max_queue: int = 128
    ) -> None:
        self._model: Any = model
        self._runs = {
            "text": self._text,
            "image": self._image,
            "classify": self._classify,
            "embed": self._embed,
        }
        self._meter = meter.of(model.info, lambda: self.worker.waiting, lambda: self.running)
        self._max_batch = max_batch
        self._writing: Any = None
        self._now = 0
        """Requests of a batch that runs as one."""
        self._flow: Any = None
        """What is being written."""
        flows = {"generate": self._write} if model.info.kind == "text" else {}
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
        return self._now + (self._flow.size if self._flow is not None else 0)

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

    def _text(self, batch: str, jobs: Sequence[Job]) -> Sequence[Any]:
        return _split(jobs, self._model.score)

    def _write(self, jobs: Sequence[Job], more: More, settle: Settle) -> None:
        """Answers that begin and end one by one; ends when nobody is left."""
        writing, self._writing = self._writing or self._model.writing(self._hand_out), None
        self._flow = writing
        try:
            self._go_on(writing, jobs, more, settle)
        finally:
            self._flow = None
        self._writing = writing  # what it read is there for those who begin alike; after a failure nothing is

    def _go_on(self, writing: Any, jobs: Sequence[Job], more: More, settle: Settle) -> None:
        newcomers = list(jobs)
        while newcomers or writing.size:
            for job in newcomers:
                try:
                    writing.join(job, job.item)
                except (ValueError, NoRoom) as refusal:
                    settle(job, refusal)
            self._meter.joined(len(newcomers))
            with self._meter.step():
                done = writing.step()
            for job, made in done:
                settle(job, made)
            newcomers = more(self._max_batch - writing.size)

    def _hand_out(self, job: Job, _token: int, piece: str) -> bool:
        """A piece to the one who asked; False where nobody waits any more."""
        self._meter.wrote(1)
        if job.on_piece is not None and piece:
            job.done.get_loop().call_soon_threadsafe(job.on_piece, piece)
        return not job.cancelled.is_set()

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
