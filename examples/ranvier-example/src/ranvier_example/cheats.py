"""Miners that want to be paid for less than the work; the package's tests show that they are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ranvier.protocol import Caller
from ranvier.subnets import Cheat, Miner, Relay
from ranvier_example.miner import PuzzleMiner, numbers_of
from ranvier_example.numbers import divide_out, is_prime
from ranvier_example.synapse import Puzzle

EASY: Final = 100
"""The lazy miner tries divisors below this."""


class Constant(PuzzleMiner):
    """Works once and returns those factors for ever."""

    _first: Puzzle.Reply | None = None

    async def answer(self, request: Puzzle, caller: Caller) -> Puzzle.Reply:
        """The first answer."""
        if self._first is None:
            self._first = await super().answer(request, caller)
        return self._first


class Lazy(Miner[Puzzle]):
    """Solves the numbers that a few divisions solve and leaves the others out."""

    async def answer(self, request: Puzzle, caller: Caller) -> Puzzle.Reply:
        """Factors of the easy numbers only."""
        found = []
        for number in numbers_of(request, self.context.hotkey, caller.hotkey):
            small, rest = divide_out(number, EASY)
            found.append((*small, rest) if is_prime(rest) else ())
        return Puzzle.Reply(factors=tuple(found))


CHEATS: Final[Mapping[str, Cheat]] = {
    "relay": Cheat(Relay, "relay"),
    "constant": Cheat(Constant, "free"),
    "lazy": Cheat(Lazy, "cheaper"),
}
