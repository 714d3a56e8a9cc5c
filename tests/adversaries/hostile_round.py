"""A validator in a process of its own: one round over hostile and honest miners, and what it cost in memory.

`python hostile_round.py DEADLINE`, targets on standard input: [[name, call, hotkey, port], ...]. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from hostile_gallery import Grid
from hostile_miner import ALICE, Echo

from ranvier.protocol import AddressPolicy, Dendrite, Target, Tensor

GRID = Grid(values=Tensor.of(np.zeros(4, dtype=np.float32)))


def peak() -> int:
    """Bytes of memory that this process has held at most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) << 10


async def streamed(dendrite: Dendrite, target: Target, deadline: float) -> Any:
    async for item in dendrite.stream(target, Echo(text="hello"), deadline=deadline):
        if not isinstance(item, str):
            return item
    raise AssertionError("a stream ends with an outcome")


async def called(dendrite: Dendrite, call: str, target: Target, deadline: float) -> Any:
    if call == "stream":
        return await streamed(dendrite, target, deadline)
    return await dendrite.ask(target, GRID if call == "grid" else Echo(text="hello"), deadline=deadline)


async def main(deadline: float, asked: list[tuple[str, str, str, int]]) -> dict[str, Any]:
    async with Dendrite(ALICE, addresses=AddressPolicy.local(), compress=True) as dendrite:
        honest = [Target(hotkey, "127.0.0.1", port) for name, _, hotkey, port in asked if name == "honest"]
        for call in ("ask", "stream", "grid"):  # what a first round loads is not the hostile ones' doing
            await called(dendrite, call, honest[0], 10.0)
        before, began = peak(), time.monotonic()
        outcomes = await asyncio.gather(
            *(
                called(dendrite, call, Target(hotkey, "127.0.0.1", port), deadline)
                for _, call, hotkey, port in asked
            )
        )
        took = time.monotonic() - began
        for _ in range(50):  # connections that were dropped leave the loop
            await asyncio.sleep(0.01)
        tasks = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return {
            "grew": peak() - before,
            "took": took,
            "tasks": tasks,
            "outcomes": [
                (type(outcome).__name__, getattr(outcome, "reason", ""), getattr(outcome, "partial", ""))
                for outcome in outcomes
            ],
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(float(sys.argv[1]), json.load(sys.stdin)))))
