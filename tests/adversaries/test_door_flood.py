"""Ten thousand broken and forged requests at an axon in a process of its own: it lives, runs nothing, keeps nothing."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from dataclasses import replace

import pytest
from axon_process import AxonProcess
from hostile_caller import KINDS, LARGE, NO_ANSWER, Sent, codes, flood, send_all, send_once

from ranvier.protocol.replies import REPLY_SIGNATURE

MB = 1_000_000
COUNT, AT_ONCE = 10_000, 32
UNPROVEN, PROVEN = 420, 600
"""The most bytes of a whole refusal, head and body: a stranger gets no signature."""
NUMBER = re.compile(rb"-?\d+(\.\d+)?")


@pytest.mark.parametrize("legacy", [False, True], ids=["ours", "with 10.x"])
async def test_a_flood_of_hostile_requests(legacy: bool) -> None:
    async with AxonProcess.run(legacy=legacy) as axon:
        assert (await send_once(axon.port, Sent.signed().raw())).code == "answered"
        before = await axon.asked()
        count = COUNT // 10 if legacy else COUNT
        found = await send_all(axon.port, flood(count, seed=4), AT_ONCE)
        after = await axon.asked()
        assert len(found) == count
        assert after["handled"] == before["handled"] == 1
        assert after["HWM"] - before["RSS"] < 20 * MB
        assert {got.status for _, got in found if got.status >= 500} == set()
        unexpected = {(kind.name, got.code) for kind, got in found if got.code not in kind.codes}
        assert unexpected == set()
        assert {kind.name for kind, got in found if kind.codes == {got.code}} >= {
            kind.name for kind in KINDS if len(kind.codes) == 1
        }
        assert codes(found)[NO_ANSWER] < count / 5
        # And it still serves.
        assert (await send_once(axon.port, Sent.signed().raw())).code == "answered"


async def test_large_bodies_that_strangers_leave_lying() -> None:
    """Each sends all of a megabyte but its end; whoever sends one honestly meanwhile is answered."""
    forged = replace(Sent.signed(), body=LARGE).raw()[:-1]
    async with AxonProcess.run() as axon, contextlib.AsyncExitStack() as stack:
        assert (await send_once(axon.port, Sent.signed(body=LARGE).raw())).code == "answered"
        before = await axon.asked()

        async def left_lying() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", axon.port)
            stack.callback(writer.close)
            with contextlib.suppress(ConnectionError):
                writer.write(forged)
                await asyncio.wait_for(writer.drain(), 60)

        await asyncio.gather(*(left_lying() for _ in range(100)))
        await asyncio.sleep(1.0)
        assert (await send_once(axon.port, Sent.signed(body=LARGE).raw())).code == "answered"
        after = await axon.asked()
        assert after["HWM"] - before["RSS"] < 32 * MB
        assert after["handled"] == 2


async def test_refusals_are_small_and_say_nothing_of_what_was_sent() -> None:
    """What a stranger is told depends on what is wrong, and on no byte of the request."""
    async with AxonProcess.run() as axon:
        found = await send_all(axon.port, flood(len(KINDS) * 40, seed=5))
    told: dict[str, set[bytes]] = defaultdict(set)
    for _, got in found:
        if not got.status:
            continue
        signed = REPLY_SIGNATURE.lower() in got.headers
        assert got.size < (PROVEN if signed else UNPROVEN)
        if not signed:
            told[got.code].add(NUMBER.sub(b"#", got.body))
    assert {code: len(texts) for code, texts in told.items()} == {
        "malformed": 5, "wrong-receiver": 1, "stale": 1, "bad-signature": 1, "too-large": 1,
    }  # fmt: skip
