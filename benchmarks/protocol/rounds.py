"""What a round of a validator holds: 256 miners of whom three in ten are faulty, hostile answers, hostile addresses.

Rival: the round that subnets write by hand, one aiohttp session and ``asyncio.gather``. Miners are two processes, each
round's validator is one of its own. The kinds of faults, of hostile answers and of addresses are those of the tests.

As a child: ``python rounds.py miners|round|bomb JSON``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from figure import Bar, Figure
from process import PeerFailed

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "adversaries"))

from faulty_miners import FAULTS, faulty_port  # noqa: E402  hostile kinds are those of the tests
from hostile_gallery import gallery  # noqa: E402
from hostile_miner import ALICE, BOB, Echo, hostile  # noqa: E402
from test_dendrite_addresses import NAMES_OF_LOOPBACK, NO_ADDRESS, NO_UNICAST, PRIVATE  # noqa: E402
from test_dendrite_hostile import round_over  # noqa: E402

from ranvier.protocol import (  # noqa: E402
    AddressPolicy,
    Answered,
    Axon,
    Caller,
    Dendrite,
    Door,
    Limits,
    Target,
    Unreachable,
)
from ranvier.protocol.btauth import sign_request  # noqa: E402

MINERS, FAULTY = 256, 0.3
DEADLINE = 2.0
MIB = 1 << 20
BOMB = 64 * MIB
"""What the rival's bomb unpacks to: bounded, so that only the rival is hurt."""


def figures(*, quick: bool) -> list[Figure]:
    """The lines of the table; ``quick`` only shows that they can be had."""
    return asyncio.run(_figures(12 if quick else MINERS, DEADLINE / 4 if quick else DEADLINE))


async def _figures(miners: int, deadline: float) -> list[Figure]:
    faulty = max(len(FAULTS), round(miners * FAULTY))
    async with _miners(miners - faulty, faulty) as (good, bad):
        asked = {"good": good, "bad": bad, "deadline": deadline}
        ours = await _told("round", asked | {"ours": True})
        rival = await _told("round", asked | {"ours": False})
    exhibits = list(gallery().items())
    memory = await round_over(exhibits[:8] if miners < MINERS else exhibits)
    bomb = (await _told("bomb", {}))["grew"]
    forms = [*PRIVATE, *NO_UNICAST, *NO_ADDRESS, *NAMES_OF_LOOPBACK]
    name = f"{miners} miners, {faulty} faulty in {len(FAULTS)} ways, time-out {deadline:g} s"
    says = f"plain aiohttp gather: {rival['seconds']:.2f} s, {rival['kept']} of {len(good)} kept"
    believed = f"plain aiohttp believed {rival['believed']} of the faulty"
    held = f"plain aiohttp: +{bomb / MIB:.0f} MB for one gzip bomb of {BOMB // MIB} MB"
    return [
        Figure(f"{name}: seconds of the round", ours["seconds"], "s", Bar(deadline + 0.5), says),
        Figure(f"{name}: good answers kept", ours["kept"] / len(good), "", Bar(1.0, at_least=True)),
        Figure(f"{name}: faulty answers believed", ours["believed"], "", Bar(0), believed),
        Figure(
            f"{len(exhibits)} hostile answers in one round: memory", memory["grew"] / MIB, "MB", Bar(32), held
        ),
        Figure(
            f"of {len(forms)} forms of addresses that point inwards: refused",
            sum([await _refused(form) for form in forms]),
            "",
            Bar(len(forms), at_least=True),
        ),
    ]


async def _refused(host: str) -> int:
    """Whether a public dendrite calls nobody there, though somebody listens."""
    called: list[bytes] = []

    async def behave(asked: bytes, writer: asyncio.StreamWriter) -> None:
        called.append(asked)

    async with hostile(behave) as target, Dendrite(ALICE) as dendrite:
        outcome = await dendrite.ask(
            Target(target.hotkey, host, target.port), Echo(text="hello"), deadline=5.0
        )
    return int(isinstance(outcome, Unreachable) and not called)


async def _told(role: str, options: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, role, json.dumps(options)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise PeerFailed(f"the {role} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(said)
    return found


@contextlib.asynccontextmanager
async def _miners(good: int, bad: int) -> AsyncIterator[tuple[list[int], list[int]]]:
    """Ports of both kinds, for as long as it is open."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "miners", json.dumps({"good": good, "bad": bad})), stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ports = json.loads(await process.stdout.readline())
        yield ports["good"], ports["bad"]
    finally:
        process.stdin.close()
        await process.wait()
        await asyncio.sleep(0)


async def _serve(good: int, bad: int) -> None:
    async def echo(request: Echo, caller: Caller) -> Echo.Reply:
        return Echo.Reply(text=request.text)

    async with contextlib.AsyncExitStack() as stack:
        ports: dict[str, list[int]] = {"good": [], "bad": []}
        for _ in range(good):
            axon = Axon(BOB, door=Door.open(), limits=Limits()).serve(Echo, echo)
            ports["good"].append((await stack.enter_async_context(axon)).port)
        for number in range(bad):
            fault = list(FAULTS.values())[number % len(FAULTS)]
            ports["bad"].append(await stack.enter_async_context(faulty_port(fault)))
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)


async def _round(good: list[int], bad: list[int], deadline: float, *, ours: bool) -> dict[str, Any]:
    began = time.perf_counter()
    answers = await (_ask_all if ours else _gather)([*good, *bad], deadline)
    took = time.perf_counter() - began
    return {"seconds": took, "kept": sum(answers[: len(good)]), "believed": sum(answers[len(good) :])}


async def _ask_all(ports: list[int], deadline: float) -> list[bool]:
    async with Dendrite(ALICE, addresses=AddressPolicy.local()) as dendrite:
        calls = [(Target(BOB.ss58_address, "127.0.0.1", port), Echo(text="hello")) for port in ports]
        return [isinstance(one, Answered) for one in await dendrite.ask_all(calls, deadline=deadline)]


async def _gather(ports: list[int], deadline: float) -> list[bool]:
    """By hand: signed, so that miners answer; what comes back with the right text is believed."""
    key, body = ALICE, b'{"text":"hello"}'
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=deadline)) as session:

        async def ask(port: int, nonce: int) -> bool:
            path = "/Echo?deadline=2000"
            headers, _ = sign_request(key, "POST", path, body, BOB.ss58_address, nonce)
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError, TypeError, KeyError):
                url = f"http://127.0.0.1:{port}{path}"
                async with session.post(url, data=body, headers=headers) as response:
                    return bool((await response.json())["text"] == "hello")
            return False

        began = time.time_ns()
        return await asyncio.gather(*(ask(port, began + place) for place, port in enumerate(ports)))


async def _bomb() -> dict[str, int]:
    """What a gzip bomb costs a session that reads any JSON."""
    packed = gzip.compress(b"0" * BOMB)

    async def reply(request: web.Request) -> web.Response:
        return web.Response(
            body=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
        )

    app = web.Application()
    app.router.add_post("/", reply)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        before = _peak()
        with contextlib.suppress(aiohttp.ClientError, ValueError):
            async with session.post(f"http://127.0.0.1:{runner.addresses[0][1]}/") as response:
                await response.json()
    await runner.cleanup()
    return {"grew": _peak() - before}


def _peak() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) << 10


async def _work(role: str, options: dict[str, Any]) -> None:
    if role == "miners":
        await _serve(**options)
        return
    found = await (_bomb() if role == "bomb" else _round(**options))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], json.loads(sys.argv[2])))
