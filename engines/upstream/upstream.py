"""One engine behind the front: who it is, how it does, what it can take."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ranvier.engines.client import EngineClient
from ranvier.engines.errors import EngineError, EngineRefused, EngineTimeout, EngineUnfit, EngineUnreachable
from ranvier.engines.models import Generation, ModelInfo

BUSY: Final = (429, 503)
CLOSED: Final = (401, 402, 403, 404)
"""It turns us away, whatever we ask: a key, a bill or a name is wrong."""
INVALID: Final = (400, 405, 413, 415, 422)
"""Refusals that are about the request itself: no other engine would say otherwise."""
SMOOTHING: Final = 0.2
"""The weight of the newest request in the mean time of a request."""
LONGEST_REST: Final = 30.0
"""Seconds between two tries of an engine that stays down."""
DEADLINE: Final = 600.0
"""Seconds that an engine behind us may take; callers set shorter ones of their own, and leaving cancels the work."""
RETURN: Final = 30.0
"""Seconds that requests wait for a process of ours to be back."""
NOT_THERE: Final = 404
TOO_MANY: Final = 429
MISSES: Final = 2
"""Looks in a row that one which is up may leave without an answer."""
PATIENCE: Final = 3.0
"""A request that its caller gave up after so many times the usual time speaks against the engine."""
DOUBT: Final = 10
"""More requests in a row without an answer count no further."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is and what is known of it: ``capacity`` is how many requests it is given at once."""

    endpoint: str
    capacity: int = 32
    api_key: str | None = field(default=None, repr=False)
    seeded: bool = False
    """It is a vLLM with our plugin: it takes seeds of seeded-gumbel-v1."""
    logprobs: bool = True
    """It is asked for log-probabilities; some hosted models refuse that."""
    model: str = ""
    """Its name of the one model that is wanted; empty: all."""
    name: str = ""
    """What we call that model; empty: as it does."""
    digest: str = ""
    """Of its weights, if the operator knows it; an engine that declares another is not used."""
    label: str = ""
    """What it is called in metrics; empty: its endpoint."""
    each: bool = False
    """The capacity is that of each of its models, not of all together."""
    light: bool = False
    """It only takes unseeded requests for the model called ``name``, while they are few; see `Pool.lighten`."""

    def wants(self, info: ModelInfo) -> bool:
        """Whether a model that it serves is to be served by us."""
        return self.model in ("", info.id)

    def ours(self, info: ModelInfo) -> ModelInfo:
        """As we declare it. Raises `EngineUnfit` where it declares other weights than it should have."""
        if self.digest and info.digest not in ("", self.digest):
            wrong = f"its {info.id} has digest {info.digest[:12]}, the configuration says {self.digest[:12]}"
            raise EngineUnfit(self.endpoint, wrong)
        return replace(info, id=self.name or info.id, digest=info.digest or self.digest)


class Upstream:
    """State of one engine. It is down from its first failure until it answers again."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.client = EngineClient(
            address.endpoint,
            api_key=address.api_key,
            seeded=address.seeded,
            logprobs=address.logprobs,
            only=address.model,
        )
        self.changed: set[Callable[[], None]] = set()
        """Told whenever it may have room, or is up or down."""
        self.names: dict[str, str] = {}
        """Our name of each model that it serves: its name."""
        self.running = 0
        self.served = 0
        """Requests that it was given."""
        self.tokens = 0
        """Tokens of answers that it wrote."""
        self._running: Counter[str] = Counter()
        """By our name of the model."""
        self.up = False
        self.reason = "not asked yet"
        """Why it is down."""
        self.seconds = 1.0
        """Mean time of a request, smoothed."""
        self.failures = 0
        """In a row."""
        self.rests_until = 0.0
        """On the monotonic clock: an engine that is full is left alone until then."""
        self.doubts = 0
        """Requests in a row that it did not answer as it should: it is asked last, unless the others are busy."""
        self.lives = 0
        """How often it was there again after it had been down."""
        self._back_by = 0.0
        self._misses = 0
        self._lost = asyncio.Event()

    @property
    def coming(self) -> bool:
        """Whether it is worth waiting for: a process of ours that died is started again at once."""
        return not self.up and time.monotonic() < self._back_by

    def free(self, model: str) -> bool:
        """Whether it can be given a request for that model of ours now."""
        held = self._running[model] if self.address.each else self.running
        return self.up and held < self.address.capacity and not self.resting

    @property
    def resting(self) -> float:
        """Seconds for which it is still left alone."""
        return max(0.0, self.rests_until - time.monotonic())

    @property
    def wait(self) -> float:
        """What one more request may have to expect, relative to other engines."""
        usual = self.seconds * (self.running + 1) / self.address.capacity
        return usual * 2.0 ** min(self.doubts, DOUBT)

    @property
    def backoff(self) -> float:
        """Seconds until a down engine is tried again."""
        return max(min(0.5 * 2.0 ** min(self.failures, 10), LONGEST_REST), self.resting)

    @property
    def label(self) -> str:
        """Its name in metrics and messages."""
        return self.address.label or " ".join(filter(None, (self.address.endpoint, self.address.model)))

    def answered(self) -> None:
        """It does."""
        self.lives += not self.up
        self.up, self.reason, self.failures = True, "", 0
        self._tell()

    def failed(self, reason: str) -> None:
        """It does not; nothing more is sent there until `answered`."""
        if self.up:
            self._lost.set()
            if self.address.each:
                self._back_by = time.monotonic() + RETURN
        self.up, self.reason, self.failures = False, reason, self.failures + 1
        self._tell()

    def seen(self) -> None:
        """A look found it there: doubts fade."""
        self._misses, self.doubts = 0, max(0, self.doubts - 1)
        self.answered()

    def missed(self, error: EngineError) -> bool:
        """A look found something else; whether that makes it down. One that is slow to say so may only be busy."""
        if isinstance(error, EngineRefused) and error.status == TOO_MANY and self.up:
            self.rest(error.retry_after or 1.0)
            return False
        self._misses += 1
        if self.up and isinstance(error, EngineTimeout) and self._misses < MISSES:
            return False
        self.failed(str(error))
        return True

    def rest(self, seconds: float) -> None:
        """Leave it alone for so long."""
        self.rests_until = time.monotonic() + seconds
        asyncio.get_running_loop().call_later(seconds, self._tell)

    async def looked_for(self, seconds: float) -> None:
        """Wait so long, or until it fails: then it is looked at sooner."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._lost.wait(), seconds)
            self._lost.clear()
            await asyncio.sleep(min(self.backoff, seconds))

    @contextmanager
    def busy(self, model: str) -> Iterator[None]:
        """Around one request: counts it, takes its time, and reads from its end how the engine does."""
        self.running, self.served = self.running + 1, self.served + 1
        self._running[model] += 1
        began = time.monotonic()
        try:
            yield
            self.seconds += SMOOTHING * (time.monotonic() - began - self.seconds)
            self.doubts = 0
            self.answered()
        except (EngineUnreachable, EngineTimeout) as error:
            self.failed(str(error))
            raise
        except EngineRefused as refusal:
            self._refused(refusal)
            raise
        except asyncio.CancelledError:
            self.doubts += time.monotonic() - began > PATIENCE * self.seconds
            raise
        finally:
            self.running -= 1
            self._running[model] -= 1
            self._tell()

    def _refused(self, refusal: EngineRefused) -> None:
        if refusal.status in BUSY:
            self.rest(refusal.retry_after or 1.0)
        elif refusal.status in CLOSED:
            self.rest(LONGEST_REST)
            self.failed(str(refusal))
        elif refusal.status not in INVALID:
            self.doubts += 1

    def _tell(self) -> None:
        for told in tuple(self.changed):
            told()

    async def run(self, batch: str, item: Any, model: str, on_piece: Callable[[str], None] | None) -> Any:
        """Carry out one request of any kind; ``model`` is our name of it. Raises `EngineError`."""
        ours, model = model, self.names.get(model, "")
        with self.busy(ours):
            if not model:
                raise EngineRefused(self.address.endpoint, NOT_THERE, f"it serves {ours} no more")
            if batch == "generate":
                made = await self._generate(item, model, on_piece)
                self.tokens += len(made.token_ids) or len(made.logprobs)
                return made
            if batch == "image" and on_piece is not None:
                return await self._images(item, model, on_piece)
            calls: dict[str, Callable[..., Any]] = {
                "score": self.client.score,
                "image": self.client.images,
                "trace": self.client.traces,
                "steps": self.client.steps,
                "decode": self.client.decode,
                "classify": self.client.classify,
                "embed": self.client.embed,
            }
            return await calls[batch](item, model=model, deadline=DEADLINE)

    async def _images(self, item: Any, model: str, on_step: Callable[[str], None]) -> list[bytes]:
        async for step in self.client.drawings(item, model=model, deadline=DEADLINE):
            if not isinstance(step, int):
                return step
            on_step(str(step))
        raise EngineUnreachable(self.address.endpoint, "the stream broke off")

    async def _generate(self, item: Any, model: str, on_piece: Callable[[str], None] | None) -> Generation:
        if on_piece is None:
            return await self.client.generate(item, model=model, deadline=DEADLINE)
        async with contextlib.aclosing(self.client.stream(item, model=model, deadline=DEADLINE)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generation):
                    return piece
                on_piece(piece)
        raise EngineUnreachable(self.address.endpoint, "the stream broke off")
