"""A thousand valid requests, captured, are worth nothing: again, after a restart, elsewhere, with anything changed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from axon_process import AxonProcess
from hostile_caller import SECOND, Got, Sent, send_all

COUNT = 1000


def captured(now: int) -> list[Sent]:
    """Valid until ten seconds after ``now``; the axons' clocks stand, so that a slow machine proves the same."""
    return [Sent.signed(body=b'{"text":"%d"}' % number, nonce=now - number) for number in range(COUNT)]


async def sent(axon: AxonProcess, requests: Iterable[Sent]) -> Counter[str]:
    got: list[tuple[None, Got]] = await send_all(axon.port, ((None, each.raw(), True) for each in requests))
    return Counter(each.code for _, each in got)


CHANGES: dict[str, Callable[[Sent], Sent]] = {
    "body": lambda one: replace(one, body=one.body.replace(b'":"', b'":"x')),
    "path": lambda one: replace(one, path=one.path.replace("/Echo", "/Ech0")),
    "deadline": lambda one: replace(one, path=one.path.replace("5000", "9000")),
}


async def test_of_six_thousand_replays_none_is_executed(tmp_path: Path) -> None:
    now = time.time_ns()
    requests, nonces = captured(now), str(tmp_path / "nonces")
    async with AxonProcess.run(nonces=nonces, now=now) as axon:
        assert await sent(axon, requests) == {"answered": COUNT}
        assert await sent(axon, requests) == {"replayed": COUNT}
        for change in CHANGES.values():
            assert await sent(axon, map(change, requests)) == {"bad-signature": COUNT}
        assert (await axon.asked())["handled"] == COUNT
    async with AxonProcess.run(nonces=nonces, now=now + SECOND) as again:
        assert await sent(again, requests) == {"replayed": COUNT}
        assert (await again.asked())["handled"] == 0
    async with AxonProcess.run(key="//Charlie", now=now) as other:
        assert await sent(other, requests) == {"wrong-receiver": COUNT}
        assert (await other.asked())["handled"] == 0


async def test_with_a_change_they_are_no_better_after_a_restart_or_elsewhere(tmp_path: Path) -> None:
    """Also where this nonce was never seen: an axon that never got the request, and one whose memory is lost."""
    now = time.time_ns()
    requests = captured(now)[:100]
    async with AxonProcess.run(now=now) as fresh:
        for change in CHANGES.values():
            assert await sent(fresh, map(change, requests)) == {"bad-signature": 100}
        readdressed = [each.with_header("X-Bittensor-Nonce", str(now + 1)) for each in requests]
        assert await sent(fresh, readdressed) == {"bad-signature": 100}
        assert (await fresh.asked())["handled"] == 0
    async with AxonProcess.run(now=now + 3600 * SECOND) as later:
        assert await sent(later, requests) == {"stale": 100}
        assert (await later.asked())["handled"] == 0
