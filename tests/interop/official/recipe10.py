"""Run by the environment of the official 10.5.0 SDK: a recipe of docs/legacy.md, with real wallets of that SDK.

recipe10.py RECIPE axon WALLETS: prints READY and its port. recipe10.py RECIPE dendrite WALLETS PORT HOTKEY PORT HOTKEY:
asks the first on the old wire, the second on the new; prints FOUND and what it understood.
"""

import asyncio
import json
import os
import runpy
import sys

recipe, which, wallets, *rest = sys.argv[1:]
sys.argv = sys.argv[:1]
import bittensor as bt
import numpy
from house import say, wallet

os.chdir(wallets)  # the recipe keeps its file of nonces where it runs
code = runpy.run_path(recipe)
ALICE = wallet("alice", wallets)


def info(hotkey: str, port: int) -> bt.AxonInfo:
    return bt.AxonInfo(version=1, ip="127.0.0.1", port=port, ip_type=4, hotkey=hotkey, coldkey=hotkey)


def metagraph() -> bt.Metagraph:
    """//Alice and //Bob, as a synchronized one would show them."""
    made, bob = bt.Metagraph(netuid=1, sync=False), wallet("bob", wallets)
    made.axons = [info(one.hotkey.ss58_address, 1) for one in (ALICE, bob)]
    made.stake = numpy.array([2000.5, 0.0], dtype=numpy.float32)
    made.validator_permit = numpy.array([True, False])
    return made


def serve() -> None:
    from ranvier.protocol import Door

    door = Door(require_permit=True, minimum_stake=1000 * 10**9)
    door.update(code["standings"](metagraph()))
    axon = code["start"](wallet("bob", wallets), door, "127.0.0.1", 0)
    say("READY", axon.port)
    sys.stdin.read()


def ask() -> None:
    from ranvier.protocol import AddressPolicy

    axons = [info(rest[1], int(rest[0])), info(rest[3], int(rest[2]))]
    asking = code["ask"](ALICE, axons, AddressPolicy.local(), frozenset({rest[3]}))
    found = [(type(one).__name__, one.reply.answer, one.proven) for one in asyncio.run(asking)]
    say("FOUND", json.dumps(found))


{"axon": serve, "dendrite": ask}[which]()
