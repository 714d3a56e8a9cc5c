"""One engine behind the front: who it is, how it does, what it can take."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from ranvier.engines.client import EngineClient
from ranvier.engines.errors import EngineRefused, EngineTimeout, EngineUnreachable
from ranvier.engines.models import Generation, ModelInfo

BUSY: Final = (429, 503)
CLOSED: Final = (401, 402, 403, 404)
"""It turns us away, whatever we ask: a key, a bill or a name is wrong."""
SMOOTHING: Final = 0.2
"""The weight of the newest request in the mean time of a request."""
LONGEST_REST: Final = 30.0
"""Seconds between two tries of an engine that stays down."""
DEADLINE: Final = 600.0
"""Seconds that an engine behind us may take; callers set shorter ones of their own."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is and what is known of it: ``capacity`` is how many requests it is given at once."""

    endpoint: str
    capacity: int = 32
    api_key: str | None = None
    seeded: bool = False
    """It is a vLLM with our plugin: it takes seeds of seeded-gumbel-v1."""
    model: str = ""
    """Its name of the one model that is wanted; empty: all."""
    name: str = ""
    """What we call that model; empty: as it does."""
    digest: str = ""
    """Of its weights, where the operator knows and the engine does not say."""
    label: str = ""
    """What it is called in metrics; empty: its endpoint."""
    each: bool = False
    """The capacity is that of each of its models, not of all together."""

    def wants(self, info: ModelInfo) -> bool:
        """Whether a model that it serves is to be served by us."""
        return self.model in ("", info.id)

    def ours(self, info: ModelInfo) -> ModelInfo:
        """As we declare it."""
        return replace(info, id=self.name or info.id, digest=info.digest or self.digest)


class Upstream:
    """State of one engine. It is down from its first failure until it answers again."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.client = EngineClient(address.endpoint, api_key=address.api_key, seeded=address.seeded)
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
        self._lost = asyncio.Event()

    def free(self, model: str) -> bool:
        """Whether it can be given a request for that model of ours now."""
        held = self._running[model] if self.address.each else self.running
        return self.up and held < self.address.capacity and time.monotonic() >= self.rests_until

    @property
    def wait(self) -> float:
        """What one more request may have to expect, relative to other engines."""
        return self.seconds * (self.running + 1) / self.address.capacity

    @property
    def rest(self) -> float:
        """Seconds until a down engine is tried again."""
        backoff = min(0.5 * 2 ** min(self.failures, 10), LONGEST_REST)
        return float(max(backoff, self.rests_until - time.monotonic()))

    @property
    def label(self) -> str:
        """Its name in metrics and messages."""
        return self.address.label or self.address.endpoint

    def answered(self) -> None:
        """It does."""
        self.up, self.reason, self.failures = True, "", 0

    def failed(self, reason: str) -> None:
        """It does not; nothing more is sent there until `answered`."""
        if self.up:
            self._lost.set()
        self.up, self.reason, self.failures = False, reason, self.failures + 1

    async def looked_for(self, seconds: float) -> None:
        """Wait so long, or until it fails: then it is looked at sooner."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._lost.wait(), seconds)
            self._lost.clear()
            await asyncio.sleep(min(self.rest, seconds))

    @contextmanager
    def busy(self, model: str) -> Iterator[None]:
        """Around one request: counts it, takes its time, and reads from its end how the engine does."""
        self.running, self.served = self.running + 1, self.served + 1
        self._running[model] += 1
        began = time.monotonic()
        try:
            yield
            self.seconds += SMOOTHING * (time.monotonic() - began - self.seconds)
            self.answered()
        except (EngineUnreachable, EngineTimeout) as error:
            self.failed(str(error))
            raise
        except EngineRefused as refusal:
            if refusal.status in BUSY:
                self.rests_until = time.monotonic() + (refusal.retry_after or 1.0)
            elif refusal.status in CLOSED:
                self.rests_until = time.monotonic() + LONGEST_REST
                self.failed(str(refusal))
            raise
        finally:
            self.running -= 1
            self._running[model] -= 1

    async def run(self, batch: str, item: Any, model: str, on_piece: Callable[[str], None] | None) -> Any:
        """Carry out one request of any kind; ``model`` is our name of it. Raises `EngineError`."""
        model, ours = self.names[model], model
        with self.busy(ours):
            if batch == "generate":
                made = await self._generate(item, model, on_piece)
                self.tokens += len(made.token_ids)
                return made
            calls: dict[str, Callable[..., Any]] = {
                "score": self.client.score,
                "image": self.client.images,
                "classify": self.client.classify,
                "embed": self.client.embed,
            }
            return await calls[batch](item, model=model, deadline=DEADLINE)

    async def _generate(self, item: Any, model: str, on_piece: Callable[[str], None] | None) -> Generation:
        if on_piece is None:
            return await self.client.generate(item, model=model, deadline=DEADLINE)
        async for piece in self.client.stream(item, model=model, deadline=DEADLINE):
            if isinstance(piece, Generation):
                return piece
            on_piece(piece)
        raise EngineUnreachable(self.address.endpoint, "the stream broke off")
