"""Nonces: the sender's never repeat, the receiver accepts each once, also over a restart."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ranvier.protocol.btauth import MAX_AGE_NS, MAX_SKEW_NS
from ranvier.protocol.codes import Code
from ranvier.protocol.errors import Refusal, ReplayStateUnusable

_log = logging.getLogger(__name__)

RETENTION_NS: Final = MAX_AGE_NS + MAX_SKEW_NS
RESERVE_NS: Final = 5_000_000_000
"""How far ahead of the newest accepted nonce the persisted ceiling is written: one write in five seconds at most."""


class NonceClock:
    """The sender's nonces: now, or one more than the last where the clock stands or steps back."""

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now
        self._last = 0

    def next(self) -> int:
        """A nonce greater than every one before, in nanoseconds since 1970."""
        self._last = max(self._last + 1, self._now())
        return self._last


class ReplayGuard:
    """The receiver's memory of accepted (hotkey, nonce) pairs, for one receiving hotkey.

    It is filled only after a signature held, forgets what the freshness window refuses anyway, and is bounded: when
    full it refuses (``busy``) instead of forgetting. With ``path`` it also refuses, after a restart, everything up
    to the ceiling that the process before had reserved. Raises `ReplayStateUnusable` for a damaged file.

    Without, it refuses what was sent before ``since`` (nanoseconds since 1970): the moment from which on this process
    could have heard it. A sender whose clock goes ahead can then be replayed for as long, two seconds at most.
    """

    def __init__(self, path: Path | None = None, *, capacity: int = 200_000, since: int = 0) -> None:
        self._path = path
        self._capacity = capacity
        self._seen: set[tuple[str, int]] = set()
        self._order: deque[tuple[int, tuple[str, int]]] = deque()
        self._floor = max(self._read(), since - 1)
        self._ceiling = self._floor

    def __len__(self) -> int:
        return len(self._seen)

    def accept(self, hotkey: str, nonce: int, now: int) -> None:
        """Remember the pair; raises `Refusal` if it was seen, if it may have been, or if memory is full."""
        while self._order and self._order[0][0] < now:
            forgotten = self._order.popleft()[1]
            self._seen.discard(forgotten)
            # Whoever steps the clock back must not make a forgotten nonce fresh again.
            self._floor = max(self._floor, forgotten[1])
        pair = (hotkey, nonce)
        if nonce <= self._floor or pair in self._seen:
            raise Refusal(Code.REPLAYED, "seen before, or sent before this axon started")
        if len(self._seen) >= self._capacity:
            raise Refusal(Code.BUSY, "too many requests within the freshness window", retry_after=1.0)
        self._reserve(nonce)
        self._seen.add(pair)
        # A nonce from the future stays fresh for longer than one from the past.
        self._order.append((max(now, nonce) + RETENTION_NS, pair))

    def _reserve(self, nonce: int) -> None:
        if self._path is None or nonce <= self._ceiling:
            return
        ceiling, fresh = nonce + RESERVE_NS, self._path.with_suffix(".new")
        try:
            fresh.write_text(str(ceiling))
            fresh.replace(self._path)
        except OSError as error:
            # Nothing is accepted that a restart could not know of.
            _log.error(
                "the nonce file %s cannot be written, so no request is accepted: %s", self._path, error
            )
            raise Refusal(Code.BUSY, "nonces cannot be kept here now", retry_after=5.0) from error
        self._ceiling = ceiling

    def _read(self) -> int:
        if self._path is None or not self._path.exists():
            return 0
        text = self._path.read_text()
        if not (text.isascii() and text.isdigit()):
            raise ReplayStateUnusable(self._path)
        return int(text)
