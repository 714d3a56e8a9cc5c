"""How a miner may try to be paid without searching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from ranvier.protocol import Answered, Caller, Code, Refusal
from ranvier.subnets import Cheat, Miner
from ranvier_example.puzzle import Puzzle, PuzzleMiner


class Relay(Miner[Puzzle]):
    """Forwards the puzzle to another miner and passes its solutions on."""

    async def answer(self, request: Puzzle, caller: Caller) -> BaseModel:
        """What the first miner that answers found, for us as caller: under another seed than the validator's."""
        if self.context.dendrite is not None:
            for peer in self.context.peers():
                outcome = await self.context.dendrite.ask(peer.target, request, deadline=2.0)
                if isinstance(outcome, Answered):
                    answered: BaseModel = outcome.reply
                    return answered
        raise Refusal(Code.DECLINED, "nobody to relay to")


class Constant(Miner[Puzzle]):
    """The same numbers for every puzzle."""

    async def answer(self, request: Puzzle, caller: Caller) -> BaseModel:
        """One, two, three."""
        return Puzzle.Reply(solutions=tuple(range(request.count)))


class Easier(PuzzleMiner):
    """Searches with three bits less: an eighth of the work."""

    async def answer(self, request: Puzzle, caller: Caller) -> BaseModel:
        """Solutions of an easier puzzle."""
        easier = request.model_copy(update={"bits": max(1, request.bits - 3)})
        return await super().answer(easier, caller)


CHEATS: Final[Mapping[str, Cheat]] = {
    "relay": Cheat(Relay, "relay"),
    "constant": Cheat(Constant, "free"),
    "easier": Cheat(Easier, "cheaper"),
}
