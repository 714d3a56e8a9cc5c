"""Miners of sums that take their time, or a thread."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from sums import Adder, Sum

from ranvier.protocol import Caller


class Slow(Adder):
    async def answer(self, request: Sum, caller: Caller) -> Any:
        await asyncio.sleep(4.0)
        return await super().answer(request, caller)


class Blocking(Adder):
    def answer(self, request: Sum, caller: Caller) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        return Sum.Reply(total=request.left + request.right)
