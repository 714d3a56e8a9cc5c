"""Where a miner says that it answers: published, and reached from outside this process."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import sys
from collections.abc import AsyncIterator
from typing import Final

from ranvier.neurons.config.models import MinerSettings
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, skipped, warn

SECONDS: Final = 5.0
PROBE: Final = """
import http.client, sys
host, port = sys.argv[1], int(sys.argv[2])
try:
    line = http.client.HTTPConnection(host, port, timeout=4.0)
    line.request("GET", "/doctor")
    answer = line.getresponse()
    print(answer.status, answer.read(300).decode("utf-8", "replace"))
except http.client.HTTPException as error:
    print("other", type(error).__name__)
except OSError as error:
    print("none", error)
"""
"""Run by a process of its own: what it sees, another process sees."""


async def published(case: Case) -> Finding:
    """What the chain shows of the miner's address."""
    assert case.neuron is not None
    shown = case.neuron.axon
    if shown is None:
        return warn("published address", "none yet", "the miner publishes it when it starts")
    host, port = _target(case)
    said = f"{shown.ip}:{shown.port}"
    if port and (shown.ip, shown.port) != (host, port):
        return warn(
            "published address", f"{said}, configured is {host}:{port}", "it is corrected at the next start"
        )
    return ok("published address", said)


async def reach(case: Case) -> Finding:
    """The advertised address and port answer a child process; where no miner runs, the doctor listens meanwhile."""
    host, port = _target(case)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return fail(
            "reachable", f"advertise is {host!r}", "set advertise to the IP address that others reach"
        )
    if address.is_unspecified:
        return fail(
            "reachable", f"{host} cannot be called", "set advertise to the IP address that others reach"
        )
    if not port:
        return skipped("reachable", "port 0 is chosen at the start; name one to have it probed")
    said = await _probe(host, port)
    if said.startswith("none"):
        settings = case.settings
        assert isinstance(settings, MinerSettings)
        async with _listening(settings.host, settings.port or port) as problem:
            if problem:
                return fail(
                    "reachable", f"cannot listen on {settings.host}:{port}: {problem}", "choose another port"
                )
            said = await _probe(host, port)
    return _judge(said, f"{host}:{port}", inside=not address.is_global)


def _judge(said: str, where: str, *, inside: bool) -> Finding:
    status, _, rest = said.partition(" ")
    if status == "none":
        step = "open the port in firewall and router, and forward it to this machine"
        return fail("reachable", f"{where} does not answer: {rest}", step)
    if status == "200" and rest == "doctor":
        note = "" if inside else "; a probe from this machine: try it from another as well"
        return ok("reachable", f"{where} would be reached{note}")
    with contextlib.suppress(ValueError):
        if "code" in json.loads(rest):
            return ok("reachable", f"{where}: an axon answers")
    return fail("reachable", f"{where} is answered by another program ({said[:60]!r})", "choose another port")


def _target(case: Case) -> tuple[str, int]:
    settings = case.settings
    assert isinstance(settings, MinerSettings)
    return settings.advertise or settings.host, settings.advertise_port or settings.port


async def _probe(host: str, port: int) -> str:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", PROBE, host, str(port)), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        return "none timed out"
    return out.decode().strip()


@contextlib.asynccontextmanager
async def _listening(host: str, port: int) -> AsyncIterator[str]:
    """Answer ``doctor`` on an address for a while; yields why that is impossible, or nothing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ndoctor")
        await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(answer, host, port)
    except OSError as error:
        yield error.strerror or str(error)
        return
    async with server:
        yield ""
