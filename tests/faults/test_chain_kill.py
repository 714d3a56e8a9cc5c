"""kill -9 of the chain in mid-block: what was acknowledged is there, once, and nothing else changed."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bittensor_core import Keypair, encode_ss58

from ranvier.chain.calls import Transfer
from ranvier.chain.genesis import Genesis, GenesisNeuron, GenesisSubnet
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.local import LocalChain
from ranvier.chain.node import ChainNode
from ranvier.chain.state import ChainState

TAO = 10**9
# Watches its SQL statements begin and kills itself at one of them: the n-th of a block's transaction ("7"), or the
# first one after the commit of a block with calls ("answering"), when all is durable and nobody has heard of it.
CHAIN = """
import asyncio, os, pathlib, signal, sys
from ranvier.chain.genesis import Genesis
from ranvier.chain.server import serve
folder, genesis, port, after, moment = sys.argv[1:]
seen = {"blocks": 0, "statements": 0, "calls": False, "committed": False}
def trace(sql):
    if sql.startswith("BEGIN"):
        seen.update(blocks=seen["blocks"] + 1, statements=0, calls=False)
    else:
        seen["statements"] += 1
    seen["calls"] |= sql.startswith("INSERT INTO call")
    here = seen["committed"] if moment == "answering" else seen["statements"] == int(moment)
    seen["committed"] = sql == "COMMIT" and seen["calls"]
    if here and seen["blocks"] > int(after):
        os.kill(os.getpid(), signal.SIGKILL)
def ready(chain):
    if moment != "never":
        chain.node._store._db.set_trace_callback(trace)
    print(chain.port, flush=True)
asyncio.run(serve(pathlib.Path(folder), Genesis.read(pathlib.Path(genesis)), port=int(port), ready=ready))
"""


def worker_key(number: int) -> Keypair:
    return Keypair.create_from_uri(f"//worker{number}")


def receiver(worker: int, number: int) -> str:
    return str(encode_ss58(bytes([1, worker]) + number.to_bytes(4, "big") + bytes(26), 42))


def genesis(workers: int) -> Genesis:
    """Blocks of 50 ms and an epoch every third one, so that emission is in the books too."""
    neurons = tuple(
        GenesisNeuron(
            hotkey=str(Keypair.create_from_uri(f"//hot{number}").ss58_address),
            coldkey=str(worker_key(number).ss58_address),
            stake=TAO,
        )
        for number in range(workers)
    )
    return Genesis(
        block_time=0.05,
        balances={str(worker_key(number).ss58_address): 1000 * TAO for number in range(workers)},
        subnets=(GenesisSubnet(name="a", hyperparameters=Hyperparameters(tempo=2), neurons=neurons),),
    )


@dataclass
class Books:
    """What the callers know: every transfer sent (receiver: rao) and the block of each acknowledged one."""

    sent: dict[str, int] = field(default_factory=dict)
    block_of: dict[str, int] = field(default_factory=dict)

    def check(self, state: ChainState) -> None:
        """Acknowledged is there, once; what was only sent is there once or not at all; no rao is missing."""
        for address, amount in self.sent.items():
            held = state.ledger.balance(address)
            assert held == amount or (held == 0 and address not in self.block_of)
        assert state.head.number >= max(self.block_of.values(), default=0)
        assert state.ledger.total() == state.ledger.issuance


@dataclass
class Victim:
    """The chain's process on one port and folder."""

    folder: Path
    genesis: Path
    port: int = 0
    process: asyncio.subprocess.Process | None = None

    async def start(self, after: int, moment: str) -> None:
        arguments = (str(self.folder), str(self.genesis), str(self.port), str(after), moment)
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHAIN, *arguments, stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, f"the chain did not come up: exit {await self.process.wait()}"
        self.port = int(line)

    async def died(self) -> None:
        assert self.process is not None
        assert await self.process.wait() == -signal.SIGKILL

    def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()


async def work(chain: LocalChain, number: int, books: Books, stop: asyncio.Event) -> None:
    """Transfer a rao more each time, each to an address of its own, over every death of the chain."""
    count = 0
    while not stop.is_set():
        count += 1
        target, amount = receiver(number, count), 1000 + count
        books.sent[target] = amount
        receipt = await chain.submit(Transfer(target, amount), worker_key(number), deadline=100)
        books.block_of[target] = receipt.block


async def read_offline(folder: Path, books: Books) -> int:
    """Open the dead chain's folder and hold the books against it; returns the newest block."""
    node = ChainNode.open(folder, None)
    try:
        await node.read(books.check)
        return node.head.number
    finally:
        node.close()


async def until_acknowledged(books: Books, count: int, workers: list[asyncio.Task[None]]) -> None:
    while len(books.block_of) < count:
        for task in workers:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)


def moment(death: int, draw: random.Random) -> str:
    """How a life ends: in a transaction, after a commit and before its answer, or by another's hand."""
    return (str(draw.randrange(0, 25)), "answering", str(draw.randrange(0, 25)), "never")[death % 4]


async def torture(folder: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    path = folder / "genesis.json"
    genesis(4).write(path)
    victim, books, stop = Victim(folder / "chain", path), Books(), asyncio.Event()
    workers: list[asyncio.Task[None]] = []
    newest = 0
    try:
        await victim.start(draw.randrange(1, 6), moment(0, draw))
        async with LocalChain(f"http://127.0.0.1:{victim.port}", deadline=60) as chain:
            await chain.info()
            workers = [asyncio.create_task(work(chain, number, books, stop)) for number in range(4)]
            for death in range(kills):
                if death % 4 == 3:
                    await until_acknowledged(books, len(books.block_of) + 1, workers)
                    await asyncio.sleep(draw.random() * 0.1)
                    victim.kill()
                await victim.died()
                block = await read_offline(victim.folder, books)
                assert block >= newest
                newest = block
                following = moment(death + 1, draw) if death + 1 < kills else "never"
                await victim.start(draw.randrange(1, 6), following)
            await until_acknowledged(books, len(books.block_of) + 4, workers)
            stop.set()
            await asyncio.gather(*workers)
        victim.kill()
        await victim.died()
        assert await read_offline(victim.folder, books) > newest
        assert set(books.sent) == set(books.block_of)
        assert len(books.sent) >= kills
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        victim.kill()
        if victim.process is not None:
            await victim.process.wait()


async def test_a_chain_killed_in_mid_block_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    await torture(tmp_path, kills=4, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_twenty_deaths(tmp_path: Path) -> None:
    await torture(tmp_path, kills=20, seed=2)
