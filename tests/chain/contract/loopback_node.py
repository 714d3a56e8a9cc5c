"""The JSON-RPC side of a Subtensor node over real websockets, and a way to it that can go dead.

`LoopbackNode` answers what needs no metadata (headers, hashes, subscriptions, submissions that fail) from a local
chain. `WireSubstrate` is the SDK's own `RpcSubstrate` in front of it: its session, reconnection, subscriptions and
translation of errors are the real ones. Only what would need a runtime's metadata is asked of `LocalSubstrate`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import bittensor as bt
from bittensor._transport.contract import SignedExtrinsic
from local_substrate import LocalSubstrate
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from ranvier.chain.local import LocalChain


@dataclass
class LoopbackNode:
    """A node's websocket. `pool` is what it says to the next submission: a JSON-RPC error or statuses of a watch."""

    chain: LocalChain
    pool: list[Any] = field(default_factory=list)
    garbage: bool = False
    """Answer every request with something that is no reply."""
    requests: list[str] = field(default_factory=list)

    async def talk(self, socket: ServerConnection) -> None:
        tasks: set[asyncio.Task[None]] = set()
        with suppress(ConnectionClosed):
            async for text in socket:
                request = json.loads(text)
                self.requests.append(request["method"])
                tasks.add(asyncio.create_task(self._answer(socket, request)))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, socket: ServerConnection, request: dict[str, Any]) -> None:
        if self.garbage:
            await socket.send('"what?"')
            return
        result = await self._result(request["method"], request["params"])
        if isinstance(result, dict) and "code" in result:
            await socket.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": result}))
            return
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}))
        if request["method"] == "chain_subscribeNewHeads":
            async for block in self.chain.blocks():
                await self._tell(socket, "chain_newHead", "heads", _header(block.number))
        if request["method"] == "author_submitAndWatchExtrinsic":
            while self.pool:
                status = self.pool.pop(0)
                if status == "hang up":
                    socket.transport.abort()
                    return
                await self._tell(socket, "author_extrinsicUpdate", "watch", status)

    async def _tell(self, socket: ServerConnection, method: str, name: str, result: Any) -> None:
        note = {"jsonrpc": "2.0", "method": method, "params": {"subscription": name, "result": result}}
        await socket.send(json.dumps(note))

    async def _result(self, method: str, params: list[Any]) -> Any:
        head = await self.chain.block()
        if method == "chain_getBlockHash":
            number = params[0]
            if number == 0:
                return await self.chain.genesis()
            async for block in self.chain.blocks(number - 1):
                return block.hash
        if method == "chain_getHeader":
            return _header(head.number)
        if method == "author_submitAndWatchExtrinsic" and self.pool and "code" in self.pool[0]:
            return self.pool.pop(0)
        names = {"chain_subscribeNewHeads": "heads", "author_submitAndWatchExtrinsic": "watch"}
        return names.get(method, head.hash)


def _header(number: int) -> dict[str, Any]:
    return {"number": hex(number), "parentHash": "0x" + "00" * 32}


class WireSubstrate(bt.RpcSubstrate):
    """The SDK's connection to a `LoopbackNode`."""

    def __init__(self, endpoint: str, behind: LocalSubstrate) -> None:
        super().__init__(endpoint)
        self.behind = behind
        self.query = behind.query
        self.query_map = behind.query_map
        self.runtime_call = behind.runtime_call
        self.constant = behind.constant
        self.compose = behind.compose
        self.mev_next_key = behind.mev_next_key

    async def connect(self) -> None:
        """As the SDK's own, without reading metadata."""
        connection = self._interface(self.endpoint, [])
        try:
            await connection._session.connect()
        except Exception as error:
            await connection.close()
            raise bt.RpcConnectionError(str(error)) from error
        socket: Any = connection._session._ws
        socket.close_timeout = 1.0  # for a dead peer's farewell; 10 s otherwise
        self._substrate = connection

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            await self.behind.close()

    async def submit(self, call: Any, keypair: Any, **options: Any) -> Any:
        """Submit, watch and report as the SDK does; the node of the test decides what becomes of it."""
        options = {name: value for name, value in options.items() if name.startswith("wait_")}
        signed = SignedExtrinsic(data=repr(call).encode(), extrinsic_hash="0x" + "ee" * 32)
        return await self._submit_and_report(signed, signer_address=keypair.ss58_address, **options)


@dataclass
class Way:
    """A proxy of bytes. `freeze` leaves every present connection open and lets nothing through any more."""

    port: int
    target: int = 0
    present: list[asyncio.Event] = field(default_factory=list)
    accepted: int = 0
    open_now: int = 0

    def freeze(self) -> None:
        for gate in self.present:
            gate.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gate = asyncio.Event()
        gate.set()
        self.present.append(gate)
        self.accepted += 1
        self.open_now += 1
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        pipes = [asyncio.create_task(_pipe(*ends, gate)) for ends in ((reader, back), (there, writer))]
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)
        for end in (back, writer):
            end.transport.abort()
        self.open_now -= 1


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
    """Carry bytes while the gate is open; a closed gate swallows them, and only a hung-up socket ends the pipe."""
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            if gate.is_set():
                writer.write(data)
                await writer.drain()


@dataclass
class Site:
    """A node behind a way, and what the tests need of both."""

    node: LoopbackNode
    way: Way

    @property
    def endpoint(self) -> str:
        return f"ws://127.0.0.1:{self.way.port}"

    def opener(self) -> WireSubstrate:
        chain = LocalChain(self.node.chain.endpoint)
        return WireSubstrate(self.endpoint, LocalSubstrate(chain))


@asynccontextmanager
async def loopback_site(chain: LocalChain) -> AsyncIterator[Site]:
    """A node in front of `chain`, reached by a way."""
    node, way = LoopbackNode(chain), Way(0)
    async with serve(node.talk, "127.0.0.1", 0) as server:
        way.target = next(iter(server.sockets)).getsockname()[1]
        async with await asyncio.start_server(way.carry, "127.0.0.1", 0) as outside:
            way.port = outside.sockets[0].getsockname()[1]
            yield Site(node, way)
