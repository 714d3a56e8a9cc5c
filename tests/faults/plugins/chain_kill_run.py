"""Kills a chain again and again: `python tests/faults/plugins/chain_kill_run.py --kills 200 --json FILE`."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]

# ruff: noqa: E402 - the helpers lie beside this file, wherever it is started
from chain_kill_actors import (
    Books,
    act,
    follow,
    founding,
    genesis,
    governing,
    locking,
    newest,
    staking,
    trading,
    transfers,
    weighing,
)

from ranvier.chain.local import LocalChain
from ranvier.chain.node import ChainNode
from ranvier.chain.replay import replay
from ranvier.chain.state import ChainState
from ranvier.chain.store import Store

STATEMENTS = 40
"""Of a block's transaction at most so many are counted before a kill; few blocks have more."""
KINDS = frozenset(
    {
        *(
            "Transfer",
            "Register",
            "AddStake",
            "RemoveStake",
            "MoveStake",
            "BecomeDelegate",
            "SetWeights",
            "Serve",
        ),
        *("RootRegister", "SetRootWeights", "CreateSubnet", "SetHyperparameter", "DissolveSubnet"),
        *("Propose", "Vote", "CloseMotion", "CommitTimelocked"),
    }
)
"""Calls that must all have been acknowledged before the last chain may end."""
OF_ALPHA = KINDS | {"AddStake of alpha", "RemoveStake of alpha", "MoveStake of alpha", "SetChildren"}
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


@dataclass
class Report:
    """A run: where it was killed, what was acknowledged and refused, what the replay made, and all that was wrong."""

    kills: int
    moments: dict[str, int] = field(default_factory=dict)
    blocks: int = 0
    announced: int = 0
    acknowledged: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    replayed_calls: int = 0
    state_hash: str = ""
    replayed_hash: str = ""
    faults: list[str] = field(default_factory=list)


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


def audit(folder: Path, name: str, books: Books) -> list[str]:
    """Hold the dead chain's folder against what callers and readers were told."""
    store, faults = Store(folder), list[str]()
    try:
        kept = {block.number: block.hash for block in store.blocks(0, 1 << 30)}
        faults += [
            f"block {number} was announced as {told}, stored is {kept.get(number)}"
            for number, told in books.blocks.items()
            if number and kept.get(number) != told
        ]
        held = {block: {one.hash(name) for one in store.signed(block)} for block in set(books.calls.values())}
        faults += [
            f"the call {call[:12]} was acknowledged in block {block}, which does not hold it"
            for call, block in books.calls.items()
            if call not in held[block]
        ]
    finally:
        store.close()
    return faults


def audit_state(state: ChainState, books: Books) -> list[str]:
    """Acknowledged is there, once; what was only sent is there once or not at all; no rao is missing."""
    faults = []
    for target, amount in books.sent.items():
        held = state.ledger.balance(target)
        if held != amount and (held or target in books.received):
            faults.append(f"{target} holds {held} rao, was sent {amount}")
    if state.ledger.total() != state.ledger.issuance:
        faults.append(f"the ledger holds {state.ledger.total()} of {state.ledger.issuance} rao")
    for netuid, subnet in state.subnets.items():
        market = subnet.market
        if market is not None and market.total() != market.issued:
            faults.append(f"of alpha {netuid} there are {market.total()} of {market.issued} rao")
    return faults


async def examine(folder: Path, name: str, books: Books) -> tuple[list[str], str]:
    """Everything that is wrong in a dead chain's folder; and its state hash."""
    faults = await asyncio.to_thread(audit, folder, name, books)
    node = ChainNode.open(folder, None)
    try:
        faults += await node.read(lambda state: audit_state(state, books))
        return faults, await node.hash_state()
    finally:
        node.close()


def moment(death: int, draw: random.Random) -> str:
    """How a life ends: in a transaction, after a commit and before its answer, or by another's hand."""
    inside = str(draw.randrange(0, STATEMENTS))
    return (inside, "answering", inside, "never")[death % 4]


async def run(
    folder: Path, kills: int, seed: int, say: Callable[[str], object] = len, *, alpha: bool = False
) -> Report:
    """Kill so many chains, let the last one live until every kind of call was acknowledged, and replay it all."""
    report, draw, moments = Report(kills), random.Random(seed), Counter[str]()
    path, books, stop = folder / "genesis.json", Books(), asyncio.Event()
    born, kinds = genesis(alpha=alpha), OF_ALPHA if alpha else KINDS
    born.write(path)
    victim = Victim(folder / "chain", path)
    numbers = {"netuid": 3, "motion": 0}
    tasks: list[asyncio.Task[None]] = []
    ending = moment(0, draw)
    try:
        await victim.start(draw.randrange(1, 6), ending)
        async with LocalChain(f"http://127.0.0.1:{victim.port}", deadline=60) as chain:
            await chain.info()
            turns = [
                *(transfers(books, name) for name in ("sender", "payer")),
                staking(),
                weighing(),
                locking(),
                founding(lambda: numbers["netuid"]),
                governing(lambda: numbers["motion"]),
                *([trading()] if alpha else ()),
            ]
            tasks = [asyncio.create_task(act(chain, one, books, stop)) for one in turns]
            readers = [follow(chain, books), newest(chain, numbers, stop)]
            tasks += [asyncio.create_task(one) for one in readers]
            for death in range(kills):
                started = time.perf_counter()
                if ending == "never":
                    await _more(books, 1, tasks)
                    await asyncio.sleep(draw.random() * 0.1)
                    victim.kill()
                await victim.died()
                moments["in a transaction" if ending.isdigit() else ending] += 1
                found, _ = await examine(victim.folder, born.hash(), books)
                report.faults += [f"kill {death} ({ending}): {fault}" for fault in found]
                ending = moment(death + 1, draw) if death + 1 < kills else "never"
                await victim.start(draw.randrange(1, 6), ending)
                say(f"{death + 1}/{kills} {time.perf_counter() - started:.1f} s\n")
            await _more(books, 4, tasks)
            while not books.done.keys() >= kinds:
                await _more(books, 1, tasks)
            stop.set()
            await asyncio.gather(*tasks[: len(turns)])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        victim.kill()
        if victim.process is not None:
            await victim.process.wait()
    found, report.state_hash = await examine(victim.folder, born.hash(), books)
    again = await asyncio.to_thread(replay, victim.folder)
    report.faults += [f"at the end: {fault}" for fault in found]
    if again.state_hash != report.state_hash:
        report.faults.append(f"replayed the state hash is {again.state_hash}, not {report.state_hash}")
    report.replayed_hash, report.blocks, report.replayed_calls = again.state_hash, again.last, again.calls
    report.announced = len(books.blocks)
    report.acknowledged, report.refused = (
        dict(sorted(books.done.items())),
        dict(sorted(books.refused.items())),
    )
    report.moments = dict(sorted(moments.items()))
    return report


async def _more(books: Books, count: int, tasks: list[asyncio.Task[None]]) -> None:
    """Wait until so many more calls are acknowledged. Raises what ended one of the tasks."""
    wanted = len(books.calls) + count
    while len(books.calls) < wanted:
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)


def main() -> int:
    """The runner on demand; 1 where anything was lost or changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alpha", action="store_true", help="A chain by the rules of 2026, with alpha.")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), given.kills, given.seed, sys.stderr.write, alpha=given.alpha))
    text = json.dumps({"seed": given.seed, "alpha": given.alpha, **asdict(report)}, indent=1) + "\n"
    if given.json:
        given.json.write_text(text)
    sys.stdout.write(text)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
