"""Rival 3: axon and dendrite of bittensor 10.5.0, the last official ones. Run in an environment of its own.

So that it runs without a network, the dendrite's constructor does not look up this machine's public address; wallets
are development keys in a temporary folder. Neither is in the measured time.
"""

# No `from __future__ import annotations`: the axon takes a handler's synapse from its annotation as an object.
import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, ClassVar, Self

import bittensor.utils.networking as networking
import driver
import numpy as np
from bittensor.core import dendrite as dendrite_module
from bittensor.core.axon import Axon
from bittensor.core.chain_data import AxonInfo
from bittensor.core.stream import StreamingSynapse
from bittensor.core.synapse import Synapse
from bittensor.core.tensor import Tensor, tensor
from bittensor_wallet import Keypair, Wallet
from driver import Ask, pieces_of, text_of

MINER = Keypair.create_from_uri("//Bob")
DEADLINE = 30.0
WALLETS = tempfile.TemporaryDirectory(prefix="ranvier-bench-")
"""Gone with the process."""


class Echo(Synapse):
    """A text, both ways."""

    required_hash_fields: ClassVar[tuple[str, ...]] = ("text",)
    text: str
    answer: str | None = None


class Numbers(Synapse):
    """An array of float32, both ways."""

    required_hash_fields: ClassVar[tuple[str, ...]] = ("values",)
    values: Tensor | None = None
    result: Tensor | None = None


class Chat(StreamingSynapse):
    """A text that comes back in pieces."""

    required_hash_fields: ClassVar[tuple[str, ...]] = ("text",)
    text: str
    completion: str = ""

    async def process_streaming_response(self, response: Any) -> AsyncIterator[str]:
        """The pieces."""
        async for chunk in response.content.iter_any():
            piece = chunk.decode()
            self.completion += piece
            yield piece

    def extract_response_json(self, response: Any) -> dict[str, Any]:
        """What the SDK puts together after the last piece."""
        return {"text": self.text, "completion": self.completion}


async def _echo(synapse: Echo) -> Echo:
    synapse.answer = synapse.text
    return synapse


async def _numbers(synapse: Numbers) -> Numbers:
    synapse.result = tensor(synapse.values.numpy())
    return synapse


async def _chat(synapse: Chat) -> Any:
    async def send_all(send: Callable[[dict[str, Any]], Any]) -> None:
        for piece in pieces_of(len(synapse.text)):
            await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})

    return synapse.create_streaming_response(send_all)


async def serve() -> int:
    """Listen; the port. The official axon takes no port 0, so a free one is chosen here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    address = {"ip": "127.0.0.1", "external_ip": "127.0.0.1", "external_port": port}
    axon = Axon(wallet=_wallet("bob"), port=port, **address)
    for handler in (_echo, _numbers, _chat):
        axon.attach(handler)
    axon.start()
    await _listening(port)
    return port


async def _listening(port: int) -> None:
    """Its server starts in a thread, and says it has started before it listens."""
    for _ in range(400):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.025)
    raise RuntimeError(f"the official axon does not listen on {port}")


class Client(driver.Client):
    """One dendrite for all requests."""

    async def __aenter__(self) -> Self:
        networking.get_external_ip = dendrite_module.networking.get_external_ip = lambda: "203.0.113.7"
        self._dendrite = dendrite_module.Dendrite(_wallet("alice"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._dendrite.aclose_session()

    async def rested(self) -> None:
        """Uvicorn closes connections after five idle seconds, which is about the time that others take."""
        await self._dendrite.aclose_session()

    def asker(self, kind: str, size: int) -> Ask:
        """What asks once."""
        kinds: dict[str, Callable[[int], Ask]] = {
            "echo": self._text,
            "tensor": self._values,
            "stream": self._pieces,
        }
        return kinds[kind](size)

    async def _call(self, port: int, synapse: Any) -> Any:
        said = await self._dendrite.call(_axon(port), synapse, timeout=DEADLINE, deserialize=False)
        assert said.dendrite.status_code == 200, said.dendrite.status_message
        return said

    def _text(self, size: int) -> Ask:
        text = text_of(size)

        async def ask(port: int) -> None:
            assert (await self._call(port, Echo(text=text))).answer == text

        return ask

    def _values(self, size: int) -> Ask:
        values = np.random.default_rng(1).random(size // 4, np.float32)

        async def ask(port: int) -> None:
            said = await self._call(port, Numbers(values=tensor(values)))
            assert np.array_equal(said.result.numpy(), values)

        return ask

    def _pieces(self, size: int) -> Ask:
        text = text_of(size)

        async def ask(port: int) -> None:
            stream = await self._dendrite.forward(
                _axon(port), Chat(text=text), timeout=DEADLINE, deserialize=False, streaming=True
            )
            *pieces, said = [piece async for piece in stream]
            assert "".join(pieces) == said.completion == text

        return ask


def _axon(port: int) -> AxonInfo:
    address = MINER.ss58_address
    return AxonInfo(version=1, ip="127.0.0.1", port=port, ip_type=4, hotkey=address, coldkey=address)


def _wallet(name: str) -> Wallet:
    made = Wallet(name="dev", hotkey=name, path=WALLETS.name)
    made.create_coldkey_from_uri("//Cold", use_password=False, overwrite=True, suppress=True)
    made.create_hotkey_from_uri(f"//{name.capitalize()}", use_password=False, overwrite=True, suppress=True)
    return made
