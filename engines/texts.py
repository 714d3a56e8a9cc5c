"""The thread of a text model: answers are written together, and those of others are checked between two steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from ranvier.engines.errors import NoRoom
from ranvier.engines.meter import ModelMeter
from ranvier.engines.worker import Job, More, Settle

GENERATE, SCORE = "generate", "score"


class TextFlow:
    """A flow of `Worker` for both kinds of work; neither waits for the other to end."""

    def __init__(self, model: Any, meter: ModelMeter, max_batch: int) -> None:
        self._model, self._meter, self._max_batch = model, meter, max_batch
        self._kept: Any = None
        self._running: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Requests that are written or checked now."""
        return sum(one.size for one in self._running)

    def __call__(self, jobs: Sequence[Job], more: More, settle: Settle) -> None:
        """Until nothing is left to do."""
        # What it read is there for those who begin alike; after a failure nothing is.
        writing, self._kept = self._kept or self._model.writing(self._hand_out), None
        checks = _Checks(self._model, settle)
        self._running = writing, checks
        try:
            self._go_on(writing, checks, jobs, more, settle)
        finally:
            self._running = ()
        self._kept = writing

    def _go_on(self, writing: Any, checks: _Checks, jobs: Sequence[Job], more: More, settle: Settle) -> None:
        newcomers = list(jobs)
        while newcomers or writing.size or checks.size:
            self._begin(newcomers, writing, checks, settle)
            with self._meter.step():
                self._write(writing, settle)
                checks.step(alone=not writing.size)
            newcomers = more(GENERATE, self._max_batch - writing.size)
            if not checks.size:
                newcomers += more(SCORE, self._max_batch)

    def _begin(self, jobs: Sequence[Job], writing: Any, checks: _Checks, settle: Settle) -> None:
        checks.begin([job for job in jobs if job.batch == SCORE])
        for job in jobs:
            if job.batch == GENERATE:
                try:
                    writing.join(job, job.item)
                except (ValueError, NoRoom) as refusal:
                    settle(job, refusal)
        self._meter.joined(len(jobs))

    def _write(self, writing: Any, settle: Settle) -> None:
        """A token for each; whoever has left makes room at once."""
        for job in writing.keys:
            if job.cancelled.is_set():
                settle(job, writing.drop(job))
        for job, made in writing.step():
            settle(job, made)

    def _hand_out(self, job: Job, _token: int, piece: str) -> bool:
        """A piece to the one who asked; False where nobody waits any more."""
        self._meter.wrote(1)
        if job.on_piece is not None and piece:
            job.done.get_loop().call_soon_threadsafe(job.on_piece, piece)
        return not job.cancelled.is_set()


class _Checks:
    """Jobs that are scored as one, pack by pack."""

    def __init__(self, model: Any, settle: Settle) -> None:
        self._model, self._settle = model, settle
        self._jobs: deque[tuple[Job, int]] = deque()
        """Each with the number of its answers."""
        self._found: list[Any] = []
        self._packs: Iterator[list[Any]] = iter(())
        self._alone = True

    @property
    def size(self) -> int:
        """Jobs that are not done."""
        return len(self._jobs)

    def begin(self, jobs: Sequence[Job]) -> None:
        """Take these, where nothing else is scored."""
        asked = []
        for job in jobs:
            try:
                prepared = [self._model.prepared(one) for one in job.item]
            except ValueError as refusal:  # of one; the others are not to blame
                self._settle(job, refusal)
                continue
            self._jobs.append((job, len(prepared)))
            asked += prepared
        if self._jobs and jobs:
            self._packs = self._model.scoring(asked, lambda: self._alone)

    def step(self, *, alone: bool) -> None:
        """One pack, a small one where somebody else waits for the model."""
        if not self._jobs:
            return
        self._alone = alone
        try:
            self._found += next(self._packs, [])
        except NoRoom as lack:
            self._end(lack)
        while self._jobs and self._jobs[0][1] <= len(self._found):
            job, count = self._jobs.popleft()
            self._settle(job, self._found[:count])
            self._found = self._found[count:]

    def _end(self, lack: NoRoom) -> None:
        while self._jobs:
            self._settle(self._jobs.popleft()[0], lack)
        self._found = []
