"""How a miner of the laboratory behaves: as its code says, unless a fault befell it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ranvier.protocol import Caller, Code, Handler, Refusal, Synapse, whole
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
            self._built: tuple[Miner[Any], Reply] | None = None

        async def answer(self, request: Any, caller: Caller) -> BaseModel:
            """Answer, charged to the meter."""
            if conduct.hangs:
                await asyncio.get_running_loop().create_future()
            reply = self._now()[1]
            conduct.meter.answers += 1
            token = METER.set(conduct.meter)
            try:
                return await Metered(reply(request, caller), conduct.meter)
            finally:
                METER.reset(token)

        def further(self) -> Mapping[type[Synapse], Handler[Any]]:
            """What the code of the beginning has; the code of the moment answers."""
            return {synapse: self._further(synapse) for synapse in self._now()[0].further()}

        def _further(self, synapse: type[Synapse]) -> Handler[Any]:
            async def answer(request: Any, caller: Caller) -> BaseModel:
                handlers = self._now()[0].further()
                if synapse not in handlers:
                    raise Refusal(Code.DECLINED, "not what this miner does any more")
                return await whole(handlers[synapse])(request, caller)

            return answer

        def _now(self) -> tuple[Miner[Any], Reply]:
            """The code of the moment, which keeps its state from answer to answer."""
            if self._built is None or type(self._built[0]) is not conduct.code:
                code = conduct.code(self.context)
                self._built = code, whole(code.answer)
            return self._built

    return Conducted
