"""A miner of sums that takes its time."""

from __future__ import annotations

import asyncio
from typing import Any

from sums import Adder, Sum

from ranvier.protocol import Caller


class Slow(Adder):
    async def answer(self, request: Sum, caller: Caller) -> Any:
        await asyncio.sleep(4.0)
        return await super().answer(request, caller)
