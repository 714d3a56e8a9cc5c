"""The duty of a validator with a seat on root: emission divided between subnets by what it verified there itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from ranvier.chain import ChainClient, ChainError, Keypair, RootChain, SetRootWeights
from ranvier.neurons.events import Event, RoundReport
from ranvier.neurons.vectors import U16_MAX

PAUSE: Final = 5.0
"""Seconds before a failed step is tried again."""
_log = logging.getLogger(__name__)


class RootDuty:
    """Sets root weights for one hotkey that validates the subnets ``netuids``.

    A subnet's contribution is the sum of its miners' moving averages: how many miners' worth of verified work this
    validator found there. Nothing is said before each of the subnets was measured once since the start. ``problem``
    says why weights are not set; empty is well.
    """

    def __init__(self, chain: ChainClient, key: Keypair, netuids: frozenset[int]) -> None:
        self._chain, self._key, self._netuids = chain, key, netuids
        self._found: dict[int, float] = {}
        self.problem = "no round has ended yet"
        self.set = 0
        """How often weights were set."""

    def hear(self, event: Event) -> None:
        """A listener of validators: takes note of their rounds."""
        if isinstance(event, RoundReport) and event.validator == self._key.ss58_address:
            self._found[event.netuid] = sum(max(line.average, 0.0) for line in event.miners)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``: once in root's tempo, or as seldom as its rate limit allows."""
        if not isinstance(self._chain, RootChain):
            self.problem = "this chain has no root weights"
            return
        ended, last = asyncio.ensure_future(stop.wait()), -1
        try:
            while not stop.is_set():
                pause, last = await self._next(self._chain, last)
                await asyncio.wait((ended,), timeout=pause)
        finally:
            ended.cancel()

    async def _next(self, chain: RootChain, last: int) -> tuple[float, int]:
        """One step: seconds to wait, and the block in which weights were set last."""
        try:
            block, parameters = (await self._chain.block()).number, (await chain.network()).parameters
            soon = await self._chain.block_time()
            every = max(parameters.root_tempo, parameters.root_weights_interval, 1)
            if last >= 0 and block < last + every:
                return soon, last
            weights = self._weights()
            if weights is None:
                return soon if self._found else PAUSE, last
            if all(seat.hotkey != self._key.ss58_address for seat in await chain.root()):
                self.problem = "no seat on root: take one with `ranvier root register`"
                return PAUSE, last
            receipt = await self._chain.submit(_call(self._key.ss58_address, weights), self._key)
        except ChainError as error:
            self.problem = f"root weights not set: {error}"
            _log.warning("root weights not set: %s", error)
            return PAUSE, last
        self.problem, self.set = "", self.set + 1
        _log.info(
            "root weights: %s", ", ".join(f"{netuid}: {value:.3f}" for netuid, value in weights.items())
        )
        return soon, receipt.block

    def _weights(self) -> Mapping[int, float] | None:
        missing = self._netuids - self._found.keys()
        if missing:
            self.problem = f"no round has ended yet on subnet {', '.join(map(str, sorted(missing)))}"
            return None
        if not any(self._found.values()):
            self.problem = "no subnet has done anything that was verified"
            return None
        return dict(sorted(self._found.items()))


def _call(hotkey: str, weights: Mapping[int, float]) -> SetRootWeights:
    top = max(weights.values())
    return SetRootWeights(
        hotkey, tuple(weights), tuple(round(value / top * U16_MAX) for value in weights.values())
    )
