"""The honest miner."""

from __future__ import annotations

import asyncio

from ranvier.protocol import Caller
from ranvier.subnets import Miner, bound_seed
from ranvier_example.numbers import derive, factor
from ranvier_example.synapse import Puzzle


def numbers_of(request: Puzzle, miner: str, caller: str) -> tuple[int, ...]:
    """The numbers that ``miner`` has to factor for ``caller``."""
    return derive(bound_seed(bytes.fromhex(request.challenge), miner, caller), request.numbers)


class PuzzleMiner(Miner[Puzzle]):
    """Factors every number, in a thread so that the axon stays responsive."""

    async def answer(self, request: Puzzle, caller: Caller) -> Puzzle.Reply:
        """All factors."""
        numbers = numbers_of(request, self.context.hotkey, caller.hotkey)
        return Puzzle.Reply(factors=tuple(await asyncio.to_thread(lambda: tuple(map(factor, numbers)))))
