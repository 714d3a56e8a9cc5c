"""The chain as a process: restarts, kill -9, reconnecting, and what is said when it cannot start."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ranvier.chain import (
    RAO,
    BackEndMissing,
    BadGenesis,
    BadReply,
    ChainTimeout,
    ChainUnreachable,
    CommitTimelocked,
    Genesis,
    Keypair,
    NotFound,
    PortOccupied,
    Serve,
    SetWeights,
    StateUnusable,
    Transfer,
    UnknownNetwork,
    WrongChain,
    connect,
)
from ranvier.chain.local import LocalChain
from ranvier.chain.node import ChainNode
from ranvier.chain.server import running

COLD, RICH = (Keypair.create_from_uri(f"//{name}") for name in ("cold", "rich"))


async def kill_and_compare(server: Any, rounds: int) -> None:
    """Kill the chain at random moments of its work; every acknowledged transfer must be there afterwards."""
    endpoint = server.start()
    paid = 0
    async with LocalChain(endpoint) as client:
        number = (await client.block()).number
        for round in range(rounds):
            killer = asyncio.get_running_loop().run_in_executor(
                None, kill_after, server, 0.11 + 0.017 * round
            )
            try:
                for _ in range(100):
                    receipt = await client.submit(Transfer(RICH.ss58_address, 1000), COLD, deadline=0.8)
                    paid, number = paid + 1, max(number, receipt.block)
            except (ChainTimeout, ChainUnreachable):
                pass
            await killer
            assert server.start() == endpoint
            assert (await client.block()).number >= number
            found = (await client.balance(RICH.ss58_address) - 100 * RAO) / 1000
            # One call may have been carried out without its acknowledgement having arrived.
            assert paid <= found <= paid + 1
            paid = int(found)
        assert paid > 0


def kill_after(server: Any, seconds: float) -> None:
    import time

    time.sleep(seconds)
    server.kill(signal.SIGKILL)


async def test_a_killed_chain_comes_back_with_what_it_acknowledged(
    chain_process: Callable[[Genesis], Any], make_genesis: Any
) -> None:
    await kill_and_compare(chain_process(make_genesis(clock="wall", block_time=0.05)), 2)


@pytest.mark.slow
async def test_twenty_kills(chain_process: Callable[[Genesis], Any], make_genesis: Any) -> None:
    await kill_and_compare(chain_process(make_genesis(clock="wall", block_time=0.05)), 20)


async def test_subscribers_miss_no_block_over_a_restart(
    chain_process: Callable[[Genesis], Any], make_genesis: Any
) -> None:
    server = chain_process(make_genesis(clock="wall", block_time=0.05))
    async with LocalChain(server.start()) as client:
        numbers: list[int] = []
        async for block in client.blocks(0):
            numbers.append(block.number)
            if block.number == 5:
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            if block.number == 10:
                break
        assert numbers == list(range(1, 11))


async def test_a_read_waits_for_a_chain_that_comes_back_within_its_deadline(
    chain_process: Callable[[Genesis], Any], make_genesis: Any
) -> None:
    server = chain_process(make_genesis())
    async with LocalChain(server.start()) as client:
        before = await client.block()
        server.kill()
        reading = asyncio.create_task(client.block())
        await asyncio.to_thread(server.start)
        assert await reading == before
        server.kill()
        short = LocalChain(client.endpoint, deadline=0.3)
        async with short:
            with pytest.raises(ChainUnreachable):
                await short.block()


async def test_submit_returns_when_a_block_holds_the_call(
    chain_process: Callable[[Genesis], Any], make_genesis: Any
) -> None:
    server = chain_process(make_genesis(clock="wall", block_time=0.05))
    async with LocalChain(server.start()) as client:
        calls = [Transfer(RICH.ss58_address, 1000) for _ in range(5)]
        receipts = await asyncio.gather(*(client.submit(call, COLD) for call in calls))
        assert len({receipt.call_hash for receipt in receipts}) == 5
        assert await client.balance(RICH.ss58_address) == 100 * RAO + 5000
        assert await client.supports(SetWeights)
        assert not await client.supports(CommitTimelocked)


async def test_a_restarted_chain_goes_on_where_it_stopped(open_small: Any) -> None:
    async with open_small() as chain:
        await chain.submit(SetWeights(1, (3, 4), (1, 0)), "v0")
        await chain.submit(Serve(1, "127.0.0.1", 9000), "m0")
        await chain.client.advance(9)
        before = (
            await chain.client.block(),
            await chain.client.metagraph(1),
            await chain.client.state_hash(),
        )
        rows = await chain.client.weights(1), await chain.client.bonds(1)
    async with open_small() as chain:
        after = (await chain.client.block(), await chain.client.metagraph(1), await chain.client.state_hash())
        assert after == before
        assert (await chain.client.weights(1), await chain.client.bonds(1)) == rows
        await chain.client.advance()
        assert (await chain.client.block()).number == before[0].number + 1


async def test_restarts_do_not_change_the_history(open_small: Any) -> None:
    hashes = []
    for folder, pauses in (("whole", 1), ("paused", 7)):
        for part in range(pauses):
            async with open_small(folder) as chain:
                if part == 0:
                    await chain.submit(SetWeights(1, (3, 4), (9, 1)), "v0")
                await chain.client.advance(14 // pauses)
                last = await chain.client.block(), await chain.client.state_hash()
                last = last[0].number, last[1], await chain.client.issuance()
        hashes.append(last)
    assert hashes[0] == hashes[1]


async def test_a_submitted_call_that_no_block_takes_times_out(small: Any) -> None:
    with pytest.raises(ChainTimeout, match="Transfer"):
        await small.client.submit(Transfer(RICH.ss58_address, 1), COLD, deadline=0.2)


async def test_reads_ask_for_what_exists(small: Any) -> None:
    with pytest.raises(NotFound, match=r"no subnet 7; this chain has 1 \(small\)"):
        await small.client.metagraph(7)
    with pytest.raises(NotFound):
        await small.client.balance("nobody")


async def test_nobody_there_is_said_at_once(unused_port: int) -> None:
    async with LocalChain(f"http://127.0.0.1:{unused_port}") as client:
        with pytest.raises(ChainUnreachable, match="ranvier chain"):
            await client.block()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def test_a_server_that_is_no_chain_is_recognised() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, LocalChain(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(BadReply, match="no chain server"):
            await client.block()


async def test_an_endpoint_that_becomes_another_chain_is_refused(
    open_small: Any, tmp_path: Path, make_genesis: Any
) -> None:
    async with open_small() as chain:
        port = chain.server.port
        client = LocalChain(chain.client.endpoint)
        await client.block()
    other = make_genesis(tempo=9)
    async with running(tmp_path / "other", other, port=port), client:
        with pytest.raises(WrongChain):
            await client.block()


async def test_a_folder_serves_one_chain_and_one_process(
    open_small: Any, tmp_path: Path, make_genesis: Any
) -> None:
    async with open_small():
        with pytest.raises(StateUnusable, match="in use by another"):
            ChainNode.open(tmp_path / "chain", None)
    with pytest.raises(WrongChain, match="start afresh"):
        ChainNode.open(tmp_path / "chain", make_genesis(tempo=9))
    ChainNode.open(tmp_path / "chain", None).close()


def test_an_empty_folder_needs_a_genesis(tmp_path: Path) -> None:
    with pytest.raises(BadGenesis, match="name a genesis file"):
        ChainNode.open(tmp_path, None)


def test_an_occupied_port_is_named(tmp_path: Path, make_genesis: Any) -> None:
    async def start() -> None:
        async with running(tmp_path, make_genesis(), port=taken.getsockname()[1]):
            raise AssertionError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortOccupied, match="choose another port"):
            asyncio.run(start())


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "not a database": lambda path: path.write_bytes(b"garbage" * 1000),
    "newer": lambda path: run(path, "PRAGMA user_version = 99"),
    "older": lambda path: run(path, "PRAGMA user_version = 4"),
    "record": lambda path: run(path, "UPDATE state SET value = '{' WHERE name = 'head'"),
    "missing": lambda path: run(path, "DELETE FROM state WHERE name LIKE 'subnet/1/slot/%'"),
    "standing": lambda path: run(path, "DELETE FROM state WHERE name = 'subnet/1/standing'"),
    "tally": lambda path: run(path, "DELETE FROM state WHERE name = 'tally/'"),
    "ledger": lambda path: run(path, "UPDATE state SET value = '1' WHERE name LIKE 'balance/%'"),
    "genesis": lambda path: run(path, "UPDATE meta SET value = '{}x' WHERE name = 'genesis'"),
}


def run(path: Path, text: str) -> None:
    db = sqlite3.connect(path)
    db.execute(text)
    db.commit()
    db.close()


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_state_is_refused_with_the_next_step(tmp_path: Path, make_genesis: Any, damage: str) -> None:
    ChainNode.open(tmp_path, make_genesis()).close()
    DAMAGE[damage](tmp_path / "chain.sqlite")
    with pytest.raises(StateUnusable, match=r"restore|newer program|start afresh"):
        ChainNode.open(tmp_path, None)


async def test_a_disk_that_fails_stops_the_chain(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await small.client.advance()

    def full(*_: object, **__: object) -> None:
        raise StateUnusable("disk full; make room")

    monkeypatch.setattr(small.server.node._store, "commit", full)
    with pytest.raises(StateUnusable, match="make room"):
        await small.client.advance()
    with pytest.raises(StateUnusable, match="has stopped"):
        await small.client.metagraph(1)
    assert small.server.node.head.number == 1


WRONG = [("{", "the file"), ('{"clok":"wall"}', "clok"), ('{"subnets":[{}]}', "subnets")]


@pytest.mark.parametrize(("text", "place"), WRONG)
def test_a_wrong_genesis_is_named_by_place(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(text)
    with pytest.raises(BadGenesis, match=place):
        Genesis.read(path)
    with pytest.raises(BadGenesis, match="cannot read"):
        Genesis.read(tmp_path / "nothing.json")


def test_an_endpoint_decides_the_back_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(connect("https://node:1/"), LocalChain)
    for name in ("fin", "ftp://x:1", "ws://", ""):
        with pytest.raises(UnknownNetwork, match="finney, test"):
            connect(name)
    monkeypatch.setitem(sys.modules, "bittensor", None)
    for name in ("finney", "ws://x:1"):
        with pytest.raises(BackEndMissing, match=r"pip install 'ranvier\[subtensor\]'"):
            connect(name)
