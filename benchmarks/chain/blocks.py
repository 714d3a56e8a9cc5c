"""A whole chain's block step: 128 subnets of 256 neurons, 64 validators on each with a row over all uids.

A block is the runtime's step and its commit to the store, as a node makes it. Times are CPU time of the process of its
own in which it runs; the wait for the disk is not in them, so the note tells the wall clock too. Every subnet
has its epoch in the blocks that are measured (more than a tempo of them), so bonds are full from the first one on.
Then it runs on for a tempo in which nearly every validator sets its row, so that rows are in every block: their checks
against the state, the rows, and the signed calls that the store keeps. Signatures are checked as calls come in, before
any block (`--only served` measures that), so those here are of the right length only.
"""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from bittensor_core import encode_ss58
from figure import Bar, Figure
from registry import Found, Options

from ranvier.chain.birth import first_state
from ranvier.chain.calls import SetWeights, encode_call
from ranvier.chain.genesis import Genesis, GenesisNeuron, GenesisSubnet
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.pool import Waiting
from ranvier.chain.presets import network_2026
from ranvier.chain.records import encode, names
from ranvier.chain.runtime import next_block
from ranvier.chain.signed import SignedCall
from ranvier.chain.state import ChainState
from ranvier.chain.store import Commit, Store

SUBNETS: Final = 128
NEURONS: Final = 256
VALIDATORS: Final = 64
TEMPO: Final = 360
LONGER: Final = 40
"""Blocks beyond a tempo."""
TAO: Final = 10**9
ALPHA: Final = "2026 with alpha"
NAMES: Final = {"2024": "2024", "y2": "2026", ALPHA: ALPHA}
MEAN, WORST, MEMORY = Bar(25), Bar(150), Bar(1000)


@dataclass(frozen=True)
class Spent:
    """Milliseconds of CPU for a block, the mean of the wall clock, and the process' largest resident memory in MB."""

    mean: float
    worst: float
    wall: float
    rows: float
    """The mean with rows of weights in each block."""
    rows_worst: float
    sent: int
    """How many rows that was."""
    memory: float


def run(options: Options) -> Found:
    """Both eras, and that of 2026 with alpha, each in a process of its own."""
    subnets, tempo = (2, 30) if options.quick else (SUBNETS, TEMPO)
    figures: list[Figure] = []
    for era in ("2024", "y2", ALPHA):
        spent = _apart(era, subnets, tempo, options.seed)
        what = f"a block of {subnets} subnets x {NEURONS} neurons, era {NAMES[era]}"
        figures += [
            Figure(f"{what}: mean", spent.mean, "ms", MEAN, f"wall clock {spent.wall:.1f} ms"),
            Figure(f"{what}: worst", spent.worst, "ms", WORST, f"of {tempo + LONGER} blocks"),
            Figure(f"{what}, {spent.sent} rows of weights in each: mean", spent.rows, "ms", MEAN),
            Figure(f"{what}, {spent.sent} rows of weights in each: worst", spent.rows_worst, "ms", WORST),
            Figure(f"{what}: resident memory", spent.memory, "MB", MEMORY),
        ]
    return Found(figures)


def _apart(era: str, subnets: int, tempo: int, seed: int) -> Spent:
    place = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "protocol")]
    script = f"import sys; sys.path[:0] = {place!r}; import blocks; blocks.main(sys.argv[1:])"
    command = [sys.executable, "-c", script, era, str(subnets), str(tempo), str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return Spent(**json.loads(done.stdout))


def main(arguments: list[str]) -> None:
    """The process of its own: measure, and print what was found as JSON."""
    era, *counts = arguments
    subnets, tempo, seed = map(int, counts)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(era, subnets, tempo, seed, Path(folder))
    print(json.dumps(asdict(found)))


def measure(era: str, subnets: int, tempo: int, seed: int, folder: Path) -> Spent:
    """Make the chain and let it run for a tempo and more, then on with rows in every block."""
    genesis = _genesis(era, subnets, tempo)
    state = first_state(genesis)
    _weigh(state, seed)
    state.take_changed()
    store = Store(folder)
    store.begin(genesis.model_dump_json(), genesis.hash(), Commit(state.head, encode(state, names(state))))
    gc.collect()
    cpu, wall = [], []
    for _ in range(tempo + LONGER):
        spent = _block(store, state, genesis, [])
        cpu.append(spent[0])
        wall.append(spent[1])
    sent = max(1, subnets * VALIDATORS // tempo)
    rows = [_block(store, state, genesis, _rows(state, number, sent))[0] for number in range(tempo)]
    store.close()
    return Spent(
        1000 * sum(cpu) / len(cpu),
        1000 * max(cpu),
        1000 * sum(wall) / len(wall),
        1000 * sum(rows) / len(rows),
        1000 * max(rows),
        sent,
        _peak(),
    )


def _block(store: Store, state: ChainState, genesis: Genesis, calls: list[Waiting]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    commit = next_block(state, genesis, state.head.timestamp + 12, calls)
    store.commit(commit, forget_before=commit.block.number - genesis.history)
    refused = [outcome.error for outcome in commit.outcomes if outcome.error]
    assert not refused, refused[0]
    return time.process_time() - cpu, time.perf_counter() - wall


def _genesis(era: str, subnets: int, tempo: int) -> Genesis:
    settings = Hyperparameters(tempo=tempo, weights_rate_limit=0)
    chain = [_subnet(number, settings) for number in range(subnets)]
    rules: dict[str, object] = {"era": era}
    if era == ALPHA:
        chain = [subnet.model_copy(update={"pool": 1000 * TAO}) for subnet in chain]
        rules = {"era": "y2", "network": network_2026()}
    return Genesis.model_validate({"name": "large", **rules, "clock": "manual", "subnets": chain})


def _subnet(number: int, settings: Hyperparameters) -> GenesisSubnet:
    coldkeys = [_address(number, uid, 1) for uid in range(NEURONS)]
    neurons = tuple(
        GenesisNeuron(
            hotkey=_address(number, uid, 0),
            coldkey=coldkey,
            stake=(uid + 1) * 10 * TAO if uid < VALIDATORS else 0,
        )
        for uid, coldkey in enumerate(coldkeys)
    )
    return GenesisSubnet(
        name=f"subnet {number}", hyperparameters=settings, owner=coldkeys[0], neurons=neurons
    )


def _address(subnet: int, uid: int, kind: int) -> str:
    return str(encode_ss58(bytes([kind, subnet, uid]) + bytes(29), 42))


def _weigh(state: ChainState, seed: int) -> None:
    """A row over all uids for every validator, around a common opinion."""
    rng = np.random.default_rng(seed)
    for subnet in state.subnets.values():
        opinion = rng.random(NEURONS)
        drawn = np.clip(opinion * rng.normal(1, 0.2, (VALIDATORS, NEURONS)), 0.01, None)
        for uid, row in enumerate((drawn / drawn.max(axis=1, keepdims=True) * 65535).astype(int).tolist()):
            subnet.weights[uid] = dict(enumerate(row))
            subnet.slots[uid].last_update = 1


def _rows(state: ChainState, number: int, count: int) -> list[Waiting]:
    """Rows of `count` validators, each of another subnet than in the block before."""
    calls = []
    for index in range(number * count, (number + 1) * count):
        subnet = state.subnets[index % len(state.subnets) + 1]
        uid = index // len(state.subnets) % VALIDATORS
        row = tuple((other * 251 + index) % 65535 + 1 for other in range(NEURONS))
        call = SetWeights(subnet.netuid, tuple(range(NEURONS)), row)
        until, hotkey = state.head.number + 8, subnet.slots[uid].hotkey
        signed = SignedCall(
            signer=hotkey,
            nonce=index,
            valid_until=until,
            call=encode_call(call).decode(),
            signature="0" * 128,
        )
        calls.append(Waiting(f"0x{index:064x}", hotkey, until, call, signed))
    return calls


def _peak() -> float:
    """MB: of this program's own memory, not of the one that started it (as getrusage would have it)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found.group(1)) / 1000 if found else float("nan")
