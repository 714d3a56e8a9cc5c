"""Who calls the chain while it is killed: people of every role, each with calls that make sense in turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bittensor_core import Keypair, encode_ss58

from ranvier.chain.calls import (
    AddStake,
    BecomeDelegate,
    Call,
    CloseMotion,
    CommitTimelocked,
    CreateSubnet,
    DissolveSubnet,
    MoveStake,
    Propose,
    Register,
    RemoveStake,
    RootRegister,
    Serve,
    SetChildren,
    SetHyperparameter,
    SetNetworkParameter,
    SetRootWeights,
    SetWeights,
    Transfer,
    Vote,
)
from ranvier.chain.errors import CallRefused
from ranvier.chain.genesis import Genesis, GenesisNeuron, GenesisSubnet
from ranvier.chain.local import LocalChain
from ranvier.chain.presets import local_hyperparameters, local_network

TAO = 10**9
PEOPLE = ("sender", "payer", "staker", "founder", "member", "senator", "trader")
NEURONS = 4
HIDDEN = 2
"""The subnet of the genesis that takes locked rows."""
Turn = tuple[str, Call]
"""Who signs, and what."""


def key(name: str) -> Keypair:
    return Keypair.create_from_uri(f"//{name}")


def address(name: str) -> str:
    return str(key(name).ss58_address)


def genesis(*, alpha: bool = False) -> Genesis:
    """Blocks of 50 ms and epochs every third one; a committee of one, and nothing that waits for long.

    With `alpha` by the rules of 2026, with pools that are traded in.
    """
    settings = local_hyperparameters(2, max_allowed_uids=8, weights_rate_limit=0, max_regs_per_block=64)
    cheap = settings.model_copy(update={"max_burn": TAO // 10, "target_regs_per_interval": 64})
    hidden = settings.model_copy(update={"tempo": 8, "commit_reveal": True})
    neurons = tuple(
        GenesisNeuron(hotkey=address(f"hot{number}"), coldkey=address("senator"), stake=(number + 1) * TAO)
        for number in range(NEURONS)
    )
    era: dict[str, Any] = {"era": "y2"} if alpha else {}
    market = {"alpha": True, "emission": "flow", "average_half_life": 20, "min_stake": 1000} if alpha else {}
    pool = 1000 * TAO if alpha else 0
    return Genesis(
        **era,
        block_time=0.05,
        allow_loopback=True,
        network=local_network(
            **market,
            lock_minimum=TAO // 10,
            lock_interval=20,
            subnet_immunity=10,
            root_tempo=3,
            commit_reveal_version=4,
        ),
        committee=(address("member"),),
        new_subnet=settings,
        balances={address(name): 100_000 * TAO for name in PEOPLE},
        subnets=(
            GenesisSubnet(name="a", hyperparameters=cheap, neurons=neurons, pool=pool),
            GenesisSubnet(name="hidden", hyperparameters=hidden, neurons=neurons, pool=pool),
        ),
    )


@dataclass
class Books:
    """What callers and readers were told: transfers sent (receiver: rao), the block of every acknowledged call by its
    hash, and the hash of every block that was announced."""

    sent: dict[str, int] = field(default_factory=dict)
    received: set[str] = field(default_factory=set)
    calls: dict[str, int] = field(default_factory=dict)
    blocks: dict[int, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


def transfers(books: Books, signer: str) -> Iterator[Turn]:
    """A rao more each time, each to an address of its own."""
    count = 0
    while True:
        count += 1
        mark = bytes([1, PEOPLE.index(signer)]) + count.to_bytes(4, "big")
        target, amount = str(encode_ss58(mark + bytes(26), 42)), 1000 + count
        books.sent[target] = amount
        yield signer, Transfer(target, amount)


def staking() -> Iterator[Turn]:
    """A newcomer buys a place, others' neurons give way; stake comes, moves and goes."""
    count = 0
    while True:
        count += 1
        hotkey = address(f"new{count}")
        yield "staker", Register(1, hotkey)
        yield "staker", AddStake(hotkey, 5 * TAO + count)
        yield "staker", BecomeDelegate(hotkey, 1000)
        yield "staker", Register(1, address(f"other{count}"))
        yield "staker", MoveStake(hotkey, address(f"other{count}"), TAO)
        yield "staker", RemoveStake(hotkey, TAO + count)


def trading() -> Iterator[Turn]:
    """Alpha is bought, changes hotkey and subnet, is sold; some of it at a price that is not to be had."""
    count = 0
    while True:
        count += 1
        yield "trader", AddStake(address("hot3"), 5 * TAO + count, 1)
        yield "trader", MoveStake(address("hot3"), address("hot2"), TAO // 2 + count, 1, 1)
        yield "trader", MoveStake(address("hot3"), address("hot3"), TAO // 2 + count, 1, HIDDEN)
        yield "trader", AddStake(address("hot3"), TAO, 1, 1)
        yield "trader", MoveStake(address("hot3"), address("hot3"), TAO // 4 + count, HIDDEN, 0, 1)
        yield "trader", RemoveStake(address("hot2"), TAO // 4 + count, 1)
        yield "senator", SetChildren(address("hot3"), 1, ((2**60 + count, address(f"hot{count % 3}")),))


def weighing() -> Iterator[Turn]:
    """A validator's rows, each another one, and where it can be reached."""
    count = 0
    while True:
        count += 1
        yield "hot3", SetWeights(1, (0, 1, 2), (1 + count % 60_000, 65535, 1 + count % 7))
        yield "hot3", Serve(1, "127.0.0.1", 1024 + count % 60_000)
        yield "senator", RootRegister(address(f"hot{count % NEURONS}"))
        yield "hot3", SetRootWeights(address("hot3"), (1,), (1 + count % 60_000,))


def locking() -> Iterator[Turn]:
    """A validator's rows on a subnet that hides them: the chain opens them itself, after whatever deaths."""
    count = 0
    while True:
        count += 1
        yield "hot2", CommitTimelocked(HIDDEN, (0, 1, 3), (1 + count % 60_000, 65535, 7))


def founding(netuids: Callable[[], int]) -> Iterator[Turn]:
    """A subnet is created, set up, and ended."""
    count = 0
    while True:
        count += 1
        yield "founder", CreateSubnet(address(f"owner{count}"), f"subnet {count}")
        yield "founder", SetHyperparameter(netuids(), "bonds_penalty", 30_000 + count % 30_000)
        yield "founder", DissolveSubnet(netuids())


def governing(motions: Callable[[], int]) -> Iterator[Turn]:
    """The committee moves, every root validator votes, the motion is closed."""
    count = 0
    while True:
        count += 1
        yield "member", Propose(SetNetworkParameter("root_rho", 10 + count % 1000))
        number = motions()
        for hotkey in range(NEURONS):
            yield "senator", Vote(number, address(f"hot{hotkey}"), approve=count % 3 != 0)
        yield "member", CloseMotion(number)


def named(call: Call) -> str:
    """The call's name; of alpha where it is."""
    places = getattr(call, "netuid", 0), getattr(call, "origin_netuid", 0)
    of_alpha = isinstance(call, AddStake | RemoveStake | MoveStake) and any(places)
    return f"{call.call} of alpha" if of_alpha else call.call


async def act(chain: LocalChain, turns: Iterator[Turn], books: Books, stop: asyncio.Event) -> None:
    """Send one call after the other, over every death of the chain, and note what it said."""
    for signer, call in turns:
        if stop.is_set():
            return
        try:
            receipt = await chain.submit(call, key(signer), deadline=100)
        except CallRefused as refusal:
            books.refused[f"{call.call}: {refusal.name}"] += 1
            continue
        books.calls[receipt.call_hash] = receipt.block
        books.done[named(call)] += 1
        if isinstance(call, Transfer):
            books.received.add(call.to)


async def follow(chain: LocalChain, books: Books) -> None:
    """Note every block that the chain announces."""
    async for block in chain.blocks(0):
        told = books.blocks.setdefault(block.number, block.hash)
        if told != block.hash:
            raise AssertionError(f"block {block.number} was {told}, and is {block.hash} now")


async def newest(chain: LocalChain, numbers: dict[str, int], stop: asyncio.Event) -> None:
    """Keep in `numbers` what founders and the committee must name: the newest subnet and motion."""
    since = 0
    while not stop.is_set():
        for event in await chain.events(since):
            since = event.block
            if event.name == "NetworkAdded":
                numbers["netuid"] = event.data["netuid"]
            if event.name == "Proposed":
                numbers["motion"] = event.data["motion"]
        await asyncio.sleep(0.02)
