"""How a miner of the laboratory behaves: as its code says, unless a fault befell it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ranvier.protocol import Caller, whole
from ranvier.subnets import Context, Miner
from ranvier.testing.meter import METER, Meter, Metered

Reply = Callable[[Any, Caller], Coroutine[Any, Any, BaseModel]]


@dataclass(slots=True)
class Conduct:
    """What a miner does now, and what its answers have cost so far."""

    code: type[Miner[Any]]
    hangs: bool = False
    meter: Meter = field(default_factory=Meter)


def conducted(conduct: Conduct) -> type[Miner[Any]]:
    """A miner's code that follows ``conduct`` from request to request."""

    class Conducted(Miner[Any]):
        """Answers with the code of the moment."""

        def __init__(self, context: Context) -> None:
            super().__init__(context)
            self._built: tuple[type[Miner[Any]], Reply] | None = None

        async def answer(self, request: Any, caller: Caller) -> BaseModel:
            """Answer, charged to the meter."""
            if conduct.hangs:
                await asyncio.get_running_loop().create_future()
            if self._built is None or self._built[0] is not conduct.code:
                self._built = conduct.code, whole(conduct.code(self.context).answer)
            conduct.meter.answers += 1
            token = METER.set(conduct.meter)
            try:
                return await Metered(self._built[1](request, caller), conduct.meter)
            finally:
                METER.reset(token)

    return Conducted
