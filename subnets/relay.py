"""The relay, a cheat that any subnet can be tried against."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from ranvier.protocol import Answered, Caller, Code, Refusal
from ranvier.subnets.subnet import Miner

RELAY_DEADLINE: Final = 15.0


class Relay(Miner[Any]):
    """Forwards every request over the wire to its peers and passes the first answer on as its own."""

    async def answer(self, request: Any, caller: Caller) -> BaseModel:
        """Whatever the first miner that answers says."""
        if self.context.dendrite is not None:
            for peer in self.context.peers():
                outcome = await self.context.dendrite.ask(peer.target, request, deadline=RELAY_DEADLINE)
                if isinstance(outcome, Answered):
                    answered: BaseModel = outcome.reply
                    return answered
        raise Refusal(Code.DECLINED, "nobody to relay to")
