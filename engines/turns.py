"""Who waits, and whose turn it is: clients in turn, however many requests each of them has."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from typing import Final

from ranvier.engines.worker import Full

_FEW: Final = 1024
"""Clients whose latest turns are remembered; one of longer ago goes first anyway."""


class Place:
    """One request that waits; made by `Turns.join`."""

    def __init__(self, client: str, arrival: int, *, picky: bool) -> None:
        self.client, self.arrival, self.picky = client, arrival, picky
        self.shed = False
        self._called = asyncio.Event()

    def call(self) -> None:
        """It is to look whether it may go."""
        self._called.set()

    async def called(self, seconds: float) -> None:
        """Wait for that, or so long. Raises `Full` where the place was taken away."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._called.wait(), seconds)
        self._called.clear()
        if self.shed:
            raise Full


class Turns:
    """Places of at most ``most`` requests.

    Whoever had its last turn longest ago goes next, so that nobody waits for more than one turn of each other client.
    A full queue sheds the newest request of whoever has most in it; that may be the one who comes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: list[Place] = []
        self._turn = 0
        self._latest: dict[str, int] = {}
        """Number of each client's latest turn, the longest ago first."""
        self._arrivals = itertools.count()

    def __len__(self) -> int:
        return len(self._places)

    def join(self, client: str, *, picky: bool = False) -> Place:
        """A place at the end of that client's own line; ``picky`` goes wherever it can, out of turn. Raises `Full`."""
        place = Place(client, next(self._arrivals), picky=picky)
        self._places.append(place)
        if len(self._places) > self._most and (last := self._last()) is not place:
            last.shed = True
            self.leave(last)
            last.call()
        elif len(self._places) > self._most:
            self.leave(place)
            raise Full
        return place

    def leave(self, place: Place) -> None:
        """It waits no more."""
        self._places = [one for one in self._places if one is not place]

    def may(self, place: Place | None) -> bool:
        """Whether it may go before all others; None is one who has just come."""
        return place is self._first() or (place is not None and place.picky)

    def went(self, client: str) -> None:
        """A request of that client has gone."""
        self._latest.pop(client, None)
        self._turn += 1
        self._latest[client] = self._turn
        if len(self._latest) > _FEW:
            del self._latest[next(iter(self._latest))]

    def call(self) -> None:
        """Let those look whose turn it is."""
        first = self._first()
        for place in self._places:
            if place is first or place.picky:
                place.call()

    def _first(self) -> Place | None:
        patient = (one for one in self._places if not one.picky)
        return min(patient, key=self._rank, default=None)

    def _rank(self, place: Place) -> tuple[int, int]:
        return self._latest.get(place.client, 0), place.arrival

    def _last(self) -> Place:
        """The newest request of the client with most of them; among equals the one that came last."""
        held = Counter(one.client for one in self._places)
        return max(self._places, key=lambda one: (held[one.client], one.arrival))
