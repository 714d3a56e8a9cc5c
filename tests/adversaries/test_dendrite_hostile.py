"""A round over every hostile answer at once: each is named for what it is, and memory stays where it was."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from hostile_gallery import Exhibit, Grid, gallery
from hostile_miner import BOB, Echo, hostile

from ranvier.protocol import Axon, Caller, Door, Limits

DEADLINE = 4.0
MOST = 32 << 20


async def echo(request: Echo, caller: Caller) -> Echo.Reply:
    return Echo.Reply(text=request.text)


async def same(request: Grid, caller: Caller) -> Grid.Reply:
    return Grid.Reply(values=request.values)


async def validated(asked: list[tuple[str, str, str, int]]) -> dict[str, Any]:
    """The round in a process of its own."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("hostile_round.py")), str(DEADLINE)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate(json.dumps(asked).encode())
    assert child.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found


async def round_over(exhibits: list[tuple[str, Exhibit]]) -> dict[str, Any]:
    async with contextlib.AsyncExitStack() as stack:
        axon = Axon(BOB, door=Door.open(), limits=Limits(rate=1e6, burst=10**6))
        await stack.enter_async_context(axon.serve(Echo, echo).serve(Grid, same))
        honest = [("honest", call, BOB.ss58_address, axon.port) for call in ("ask", "stream", "grid")]
        asked = list(honest)
        for name, exhibit in exhibits:
            target = await stack.enter_async_context(hostile(exhibit.behaviour))
            asked.append((name, exhibit.call, target.hotkey, target.port))
        return await validated([*asked, *honest])


async def test_all_of_them_at_once() -> None:
    exhibits = list(gallery().items())
    found = await round_over(exhibits)
    honest = found["outcomes"][:3] + found["outcomes"][-3:]
    assert [kind for kind, _, _ in honest] == ["Answered"] * 6
    for (name, exhibit), (kind, reason, _) in zip(exhibits, found["outcomes"][3:-3], strict=True):
        assert kind in exhibit.outcome.split("|"), (name, kind, reason)
        assert exhibit.reason in reason, (name, reason)
        assert len(reason) < 400
    assert found["grew"] <= MOST, f"{found['grew'] >> 20} MiB"
    assert found["tasks"] == []


async def test_a_hundred_that_send_as_much_as_they_may() -> None:
    """The room for unverified replies bounds what many miners cost together."""
    flood = gallery()["numbers without end"]
    found = await round_over([(str(number), flood) for number in range(100)])
    outcomes = found["outcomes"][3:-3]
    assert [kind for kind, _, _ in found["outcomes"][:3]] == ["Answered"] * 3
    assert {kind for kind, _, _ in outcomes} <= {"Invalid", "TimedOut"}
    assert sum("not what Echo declares" in reason for _, reason, _ in outcomes) > 50
    assert found["grew"] <= 2 * MOST, f"{found['grew'] >> 20} MiB"
