"""Participants that misbehave as no subnet can define: a slow miner, a pet, a validator that pays its own miner."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from ranvier.protocol import Caller, Code, Handler, Refusal, Synapse, whole
from ranvier.subnets import Context, Miner, Round, Subnet, Task


def slowed(miner: type[Miner[Any]], seconds: float) -> type[Miner[Any]]:
    """An honest miner on a slower box: the same answers, each ``seconds`` later."""

    class Slowed(Miner[Any]):
        """Answers late."""

        def __init__(self, context: Context) -> None:
            super().__init__(context)
            self._code = miner(context)
            self._reply = whole(self._code.answer)

        async def answer(self, request: Any, caller: Caller) -> BaseModel:
            """Answer as the honest miner does, after a pause."""
            await asyncio.sleep(seconds)
            return await self._reply(request, caller)

        def further(self) -> Mapping[type[Synapse], Handler[Any]]:
            """As the honest miner: only its answers are late."""
            return self._code.further()

    return Slowed


class Pet(Miner[Any]):
    """Does nothing and counts on its owner, the self-dealing validator."""

    async def answer(self, request: Any, caller: Caller) -> BaseModel:
        """Refuse every request."""
        raise Refusal(Code.DECLINED, "a pet does no work")


def self_dealing(subnet: type[Subnet[Any]], pet: str) -> type[Subnet[Any]]:
    """The subnet as a self-dealer runs it: nobody is asked, everything goes to the hotkey ``pet``."""

    class SelfDealing(subnet):  # type: ignore[misc, valid-type]
        """Weights without work."""

        def tasks(self, round: Round) -> Iterator[Task[Any]]:
            """None."""
            return iter(())

        def weights(self, averages: Mapping[str, float]) -> Mapping[str, float]:
            """All to the pet."""
            return {pet: 1.0}

    return SelfDealing
