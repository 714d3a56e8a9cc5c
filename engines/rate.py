"""How fast something goes just now."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

SPAN: Final = 10
"""Whole seconds that a mean is taken over, and the present one."""


class Rate:
    """Things a second, the mean of the last ten. From any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """So many more."""
        now = int(self._clock())
        with self._lock:
            if self._seconds and self._seconds[-1][0] == now:
                count += self._seconds.pop()[1]
            self._seconds.append((now, count))
            self._forget(now)

    def value(self) -> float:
        """0 while nothing goes."""
        now = self._clock()
        with self._lock:
            self._forget(int(now))
            if not self._seconds:
                return 0.0
            return sum(count for _, count in self._seconds) / (now - (int(now) - SPAN))

    def _forget(self, now: int) -> None:
        while self._seconds and self._seconds[0][0] < now - SPAN:
            self._seconds.popleft()
