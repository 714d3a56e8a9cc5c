"""What the chain's server does on one core: signed calls settled, and a metagraph of 256 neurons.

The server is a process of its own, with blocks of a second and its store on the disk; the client signs everything
before, in this process, and asks as `LocalChain.submit` does: send the call, then wait for its outcome. "on one core"
is calls by CPU seconds of the server's process (its worker thread included). Every call is a transfer between other
accounts, verified (sr25519), carried out, and looked up in the store in the end. The rival is bare aiohttp with
``json``: the same requests and replies of the same size, with no signature, no state and no disk. It is the floor.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from bittensor_core import Keypair, encode_ss58
from figure import Bar, Figure
from registry import Found, Options

from ranvier.chain.calls import Transfer
from ranvier.chain.genesis import Genesis, GenesisNeuron, GenesisSubnet
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.signed import SignedCall, sign_call

NEURONS: Final = 256
SIGNERS: Final = 64
AT_ONCE: Final = 1000
"""Calls in flight: most of them wait for the next block."""
CALLS: Final = 4000
READS: Final = 300
TAO: Final = 10**9
WAIT: Final = "20"
SERVERS: Final = Path(__file__).with_name("servers.py")
Get = Callable[[str], Awaitable[bytes]]


def run(options: Options) -> Found:
    """Calls, then metagraphs; each beside the floor."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(options, Path(folder)))


async def _run(options: Options, folder: Path) -> Found:
    genesis = _genesis()
    genesis.write(folder / "genesis.json")
    count, reads = (200, 60) if options.quick else (CALLS, READS)
    calls = _signed(genesis, count)
    async with _server("chain", str(folder / "chain"), str(folder / "genesis.json")) as chain:
        ours = await _settle(chain, calls)
        settled = await _landed(chain)
        read = await _read(chain, reads)
    if settled != count:
        raise RuntimeError(f"{settled} of {count} transfers are in the chain")
    (folder / "reply.json").write_bytes(read.body)
    async with _server("bare", str(folder / "reply.json")) as bare:
        floor = await _settle(bare, calls)
        plain = await _read(bare, reads)
    rate, floor_rate = count / ours.cpu, count / floor.cpu
    named = f"a metagraph of {NEURONS} neurons"
    return Found(
        [
            Figure(
                "signed calls settled through the server, on one core",
                rate,
                "/s",
                Bar(500, at_least=True),
                f"{count} calls, {count / ours.wall:.0f}/s by the clock; bare aiohttp {floor_rate:.0f}/s",
            ),
            Figure(
                f"{named}: CPU of the server",
                read.cpu_ms,
                "ms",
                Bar(10),
                f"{len(read.body) / 1000:.0f} kB; bare aiohttp and json.dumps of the same {plain.cpu_ms:.2f} ms",
            ),
            Figure(
                f"{named}: until it is read",
                read.latency_ms,
                "ms",
                Bar(10),
                f"median of {reads}; bare aiohttp {plain.latency_ms:.2f} ms",
            ),
        ]
    )


@dataclass(frozen=True)
class _Took:
    cpu: float
    wall: float


@dataclass(frozen=True)
class _Read:
    cpu_ms: float
    latency_ms: float
    body: bytes


@dataclass(frozen=True)
class _Server:
    url: str
    pid: int
    session: aiohttp.ClientSession

    def cpu(self) -> float:
        """Seconds that it has used up to now."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def get(self, path: str) -> bytes:
        async with self.session.get(self.url + path) as response:
            response.raise_for_status()
            return await response.read()

    async def post(self, path: str, body: bytes) -> Any:
        async with self.session.post(self.url + path, data=body) as response:
            response.raise_for_status()
            return await response.json()


@asynccontextmanager
async def _server(*arguments: str) -> AsyncIterator[_Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVERS), *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise RuntimeError(f"the server {arguments[0]} did not start")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield _Server(url, process.pid, session)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _settle(server: _Server, calls: Iterable[SignedCall]) -> _Took:
    """Send each and wait for its outcome, AT_ONCE in flight."""
    bodies = iter([call.model_dump_json().encode() for call in calls])

    async def client() -> None:
        for body in bodies:
            sent = await server.post("/v1/calls", body)
            found = json.loads(await server.get(f"/v1/calls/{sent['call_hash']}?wait={WAIT}"))
            if found["status"] != "settled" or found["error"]:
                raise RuntimeError(f"a call was not carried out: {found}")

    cpu, wall = server.cpu(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(client())
    return _Took(server.cpu() - cpu, time.perf_counter() - wall)


async def _landed(server: _Server) -> int:
    """Transfers that the chain tells of, each a rao and its number to an account of its own."""
    found, since = 0, 0
    while piece := json.loads(await server.get(f"/v1/events?since={since}")):
        found += sum(event["name"] == "Transfer" for event in piece)
        since = piece[-1]["block"]
    return found


async def _read(server: _Server, count: int) -> _Read:
    """One after the other, over one connection."""
    path, times, body = "/v1/subnets/1/metagraph", [], b""
    await server.get(path)
    cpu = server.cpu()
    for _ in range(count):
        start = time.perf_counter()
        body = await server.get(path)
        times.append(time.perf_counter() - start)
    return _Read(1000 * (server.cpu() - cpu) / count, 1000 * statistics.median(times), body)


def _signed(genesis: Genesis, count: int) -> list[SignedCall]:
    """Transfers by the signers in turn, each to an account of its own."""
    keys, name = [_key(number) for number in range(SIGNERS)], genesis.hash()
    return [
        sign_call(Transfer(_receiver(number), 1000 + number), keys[number % SIGNERS], name, 120)
        for number in range(count)
    ]


def _genesis() -> Genesis:
    neurons = tuple(
        GenesisNeuron(hotkey=_receiver(number + (1 << 30)), coldkey=_receiver(1 << 31), stake=number * TAO)
        for number in range(NEURONS)
    )
    balances = {str(_key(number).ss58_address): 1000 * TAO for number in range(SIGNERS)}
    subnet = GenesisSubnet(name="a", hyperparameters=Hyperparameters(tempo=99), neurons=neurons)
    return Genesis(block_time=1.0, balances=balances, subnets=(subnet,))


def _key(number: int) -> Keypair:
    return Keypair.create_from_uri(f"//signer{number}")


def _receiver(number: int) -> str:
    return str(encode_ss58(number.to_bytes(8, "big") + bytes(24), 42))
