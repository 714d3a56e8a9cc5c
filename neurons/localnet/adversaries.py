"""Participants that misbehave in ways no subnet can define: a slow miner, a pet, a validator that pays its own miner."""

from __future__ import annotations

import asyncio
from typing import Any

from ranvier.protocol import Caller, Synapse
from ranvier.subnets import Context, Miner


def slowed(miner: type[Miner[Any]], seconds: float) -> type[Miner[Any]]:
    """An honest miner on a slower box: the same answers, each ``seconds`` later."""

    class Slowed(Miner[Any]):
        """Answers late."""

        def __init__(self, context: Context) -> None:
            super().__init__(context)
            self.inner = miner(context)

        async def answer(self, request: Any, caller: Caller) -> Synapse.Reply:
            """Answer as the honest miner does, after a pause."""
            await asyncio.sleep(seconds)
            return await self.inner.answer(request, caller)

    return Slowed


class Pet(Miner[Any]):
    """Does nothing and counts on its owner, the self-dealing validator."""

    async def answer(self, request: Any, caller: Caller) -> Synapse.Reply:
        """Refuse every request by failing."""
        raise PetRefusal


class PetRefusal(Exception):
    """The pet has no answers."""

    def __init__(self) -> None:
        super().__init__("a pet does no work")
