"""What the door holds: ten thousand hostile requests, and one caller who sends twenty times what the axon can do.

Rivals: the official axon (10.5.0) for the hostile requests, a plain aiohttp server with a semaphore for the overload.
Server, flooder and honest callers are processes of their own, as busy as two cores allow; the handler only waits, so
that the machine is not what is overloaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from figure import Bar, Figure
from process import PeerFailed, Process

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = Path(os.environ.get("RANVIER_LEGACY_PYTHON", ROOT / ".venv-legacy/bin/python"))
OFFICIAL_HERE = OFFICIAL.exists()
sys.path.insert(0, str(ROOT / "tests" / "adversaries"))

from axon_process import AxonProcess, Echo  # noqa: E402  the hostile kinds are those of the tests
from hostile_caller import BOB, flood, send_all, send_once  # noqa: E402

from ranvier.protocol import (  # noqa: E402
    AddressPolicy,
    Answered,
    Dendrite,
    Limits,
    Refused,
    Target,
    keypair_from_uri,
)

PLACES, HOLD = 8, 0.2
"""Handlers at once, seconds of each: forty requests a second."""
CAPACITY = PLACES / HOLD
TIMES = 20
HONEST = ("//Alice", "//Dave", "//Ferdie")
FLOODER = "//Charlie"
PATIENCE = 3.0
"""Deadline of every request."""
AT_ONCE = 32
MB = 1_000_000
_OFFICIAL_SECONDS: Final = 12.0


def figures(*, quick: bool) -> list[Figure]:
    """The lines of the table; ``quick`` only shows that they can be had."""
    return asyncio.run(_hostile(quick)) + asyncio.run(_overload(quick))


async def _hostile(quick: bool) -> list[Figure]:
    count = 320 if quick else 10_000
    async with AxonProcess.run() as axon:
        before, began = await axon.asked(), time.perf_counter()
        found = await send_all(axon.port, flood(count, seed=4), AT_ONCE)
        took, after = time.perf_counter() - began, await axon.asked()
    name = f"{count:,} hostile requests, {AT_ONCE} in flight"
    failed = sum(got.status >= 500 for _, got in found)
    note = "" if quick else await _official_hostile()
    return [
        Figure(f"{name}: refused", len(found) / took, "/s", Bar(500, at_least=True), note),
        Figure(f"{name}: answers of 5xx", failed, "", Bar(0)),
        Figure(f"{name}: handler runs", after["handled"] - before["handled"], "", Bar(0)),
        Figure(f"{name}: axon's memory, at most", (after["HWM"] - before["RSS"]) / MB, "MB", Bar(20)),
    ]


async def _official_hostile() -> str:
    """What the official axon does with a thirtieth of them, each on a connection of its own."""
    if not OFFICIAL_HERE:
        return "official 10.5.0 not installed: `make legacy`"
    try:
        axon = await Process.start(str(OFFICIAL), "server", "official", 1)
    except PeerFailed as error:
        return f"official: {error}"
    left, statuses = iter(flood(330, seed=4)), list[int]()

    async def work() -> None:
        for _, raw, whole in left:
            statuses.append((await send_once(axon.ports[0], raw, whole=whole)).status)

    assert axon.process.stdout is not None
    log = asyncio.create_task(
        axon.process.stdout.read()
    )  # it says much of each, and would wait for who reads it
    began = time.perf_counter()
    tasks = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
    await asyncio.wait(tasks, timeout=_OFFICIAL_SECONDS)
    took, answers = time.perf_counter() - began, len(statuses)
    failed = sum(status >= 500 for status in statuses) / max(1, answers)
    await axon.stop()  # first: a connection that it never reads could not be closed
    for task in tasks:
        task.cancel()
    await asyncio.gather(log, *tasks, return_exceptions=True)
    return f"official: {answers} of 330 answered in {took:.0f} s, {answers / took:.0f}/s, {failed:.0%} of them 5xx"


@dataclass(frozen=True)
class Times:
    """Of the honest callers and of the flooder's refusals, in milliseconds."""

    honest: list[float]
    refusals: list[float]
    with_retry: int = 0
    sent: int = 0


async def _overload(quick: bool) -> list[Figure]:
    seconds = 0.8 if quick else 6.0
    found: dict[str, Times] = {}
    for lane in ("alone", "flooded", "gate only", "rival alone", "rival flooded"):
        found[lane] = await _lane(lane, seconds)
    alone, rival = _p(found["alone"].honest, 95), _p(found["rival alone"].honest, 95)
    starved = _p(found["rival flooded"].honest, 95) / rival
    by_rate, by_gate = found["flooded"], found["gate only"]
    name = f"one caller sends {TIMES} x capacity"
    refused = by_rate.refusals + by_gate.refusals
    told = (by_rate.with_retry + by_gate.with_retry) / max(1, len(refused))
    rival_note = f"plain aiohttp with a semaphore: {starved:.1f} x, cut at {PATIENCE:.0f} s"
    spread = f"{alone:.0f} ms alone; {by_rate.sent / seconds:.0f} requests a second of the one"
    return [
        Figure(f"{name}: others' p95", _p(by_rate.honest, 95) / alone, "x", Bar(1.5), rival_note),
        Figure(f"{name}, no rate limit: others' p95", _p(by_gate.honest, 95) / alone, "x", Bar(1.5), spread),
        Figure(f"{name}: p99 of {len(refused):,} refusals", _p(refused, 99), "ms", Bar(50)),
        Figure(f"{name}: refusals with retry-after", 100 * told, "%", Bar(100, at_least=True)),
    ]


def _p(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else float("nan")


async def _lane(lane: str, seconds: float) -> Times:
    ours = not lane.startswith("rival")
    rates = Limits() if lane == "flooded" else Limits(rate=1e9, burst=10**9)
    async with contextlib.AsyncExitStack() as stack:
        if ours:
            limits = {"max_concurrent": PLACES, "rate": rates.rate, "burst": rates.burst}
            axon = AxonProcess.run(callers=[*HONEST, FLOODER], hold=HOLD, limits=limits)
            port = (await stack.enter_async_context(axon)).port
        else:
            port = await stack.enter_async_context(_plain_server())
        clients = [_told("honest", ours, port, seconds)]
        if "alone" not in lane:
            clients.append(_told("flooder", ours, port, seconds))
        honest, *flooder = await asyncio.gather(*clients)
    sent = flooder[0] if flooder else {"refusals": [], "with_retry": 0, "sent": 0}
    return Times(honest["times"], sent["refusals"], sent["with_retry"], sent["sent"])


async def _told(role: str, ours: bool, port: int, seconds: float) -> dict[str, Any]:
    """What a client's process found."""
    options = json.dumps({"role": role, "ours": ours, "port": port, "seconds": seconds})
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, options, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise PeerFailed(f"the {role} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(said)
    return found


@contextlib.asynccontextmanager
async def _plain_server() -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, json.dumps({"role": "server"})),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()
        await asyncio.sleep(0)  # its pipes close


async def _serve() -> None:
    """The rival: as many places, first come first served."""
    places = asyncio.Semaphore(PLACES)

    async def echo(request: web.Request) -> web.Response:
        text = (await request.json())["text"]
        async with places:
            await asyncio.sleep(HOLD)
        return web.json_response({"text": text})

    app = web.Application()
    app.router.add_post("/Echo", echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    await runner.cleanup()


class _Caller:
    """Asks: whether it was answered, how it was refused, milliseconds."""

    def __init__(self, uri: str, port: int) -> None:
        self._dendrite = Dendrite(keypair_from_uri(uri), addresses=AddressPolicy.local())
        self._target = Target(BOB.ss58_address, "127.0.0.1", port)

    async def open(self) -> None:
        await self._dendrite.__aenter__()

    async def ask(self) -> tuple[bool, Refused | None, float]:
        began = time.perf_counter()
        outcome = await self._dendrite.ask(self._target, Echo(text="hello"), deadline=PATIENCE)
        took = 1000 * (time.perf_counter() - began)
        return isinstance(outcome, Answered), outcome if isinstance(outcome, Refused) else None, took

    async def close(self) -> None:
        await self._dendrite.__aexit__(None, None, None)


class _PlainCaller:
    """The same of the rival."""

    def __init__(self, uri: str, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/Echo"

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE)
        )

    async def ask(self) -> tuple[bool, Refused | None, float]:
        began, good = time.perf_counter(), False
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(self._url, json={"text": "hello"}) as response:
                good = (await response.json())["text"] == "hello"
        return good, None, 1000 * (time.perf_counter() - began)

    async def close(self) -> None:
        await self._session.close()


async def _honest(caller: type[_Caller | _PlainCaller], port: int, seconds: float) -> dict[str, Any]:
    """Each asks, and asks again when it has its answer; what never came counts with all the time that it took."""
    times: list[float] = []

    async def one(uri: str) -> None:
        client, end = caller(uri, port), time.perf_counter() + seconds
        await client.open()
        while time.perf_counter() < end:
            times.append((await client.ask())[2])
        await client.close()

    await asyncio.sleep(0.3)  # the flood is on its way
    await asyncio.gather(*(one(uri) for uri in HONEST))
    return {"times": times}


async def _flooder(caller: type[_Caller | _PlainCaller], port: int, seconds: float) -> dict[str, Any]:
    """Sends at its pace whatever comes back, 512 in flight at most."""
    client, refusals, retries, sent = caller(FLOODER, port), [], 0, 0
    pace, room = 1 / (TIMES * CAPACITY), asyncio.Semaphore(512)

    async def one() -> None:
        nonlocal retries
        _, refused, took = await client.ask()
        room.release()
        if refused is not None:
            refusals.append(took)
            retries += refused.retry_after is not None

    await client.open()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        while (now := time.perf_counter() - began) < seconds + 0.5:
            if sent * pace > now:
                await asyncio.sleep(sent * pace - now)
                continue
            await room.acquire()
            tasks.create_task(one())
            sent += 1
    await client.close()
    return {"refusals": refusals, "with_retry": retries, "sent": sent}


async def _work(options: dict[str, Any]) -> None:
    if options["role"] == "server":
        await _serve()
        return
    work = _honest if options["role"] == "honest" else _flooder
    caller: type[_Caller | _PlainCaller] = _Caller if options["ours"] else _PlainCaller
    sys.stdout.write(json.dumps(await work(caller, options["port"], options["seconds"])))


if __name__ == "__main__":
    asyncio.run(_work(json.loads(sys.argv[1])))
