"""What both scripts share: a network look-up less, wallets of development keys, and the synapses of the tests."""

import bittensor.utils.networking as networking

networking.get_external_ip = lambda: "203.0.113.7"

import os
from typing import ClassVar

import bittensor.core.dendrite as dendrite_module
from bittensor.core.stream import StreamingSynapse
from bittensor.core.synapse import Synapse
from bittensor.core.tensor import Tensor
from bittensor_wallet import Wallet
from pydantic import BaseModel

dendrite_module.networking.get_external_ip = networking.get_external_ip


def say(*words: object) -> None:
    """A line of its own in one piece: the SDK's log writes to the same place from a thread."""
    os.write(1, f"\n{' '.join(map(str, words))}\n".encode())


def wallet(name: str, path: str) -> Wallet:
    made = Wallet(name="dev", hotkey=name, path=path)
    made.create_coldkey_from_uri("//Cold", use_password=False, overwrite=True, suppress=True)
    made.create_hotkey_from_uri(f"//{name.capitalize()}", use_password=False, overwrite=True, suppress=True)
    return made


def echo(hashed: bool) -> type[Synapse]:
    class Echo(Synapse):
        text: str
        tags: list = []
        answer: str | None = None
        required_hash_fields: ClassVar[tuple[str, ...]] = ("text", "tags") if hashed else ()

    return Echo


class Chat(StreamingSynapse):
    prompt: str
    completion: str = ""
    required_hash_fields: ClassVar[tuple[str, ...]] = ("prompt",)

    async def process_streaming_response(self, response):
        async for chunk in response.content.iter_any():
            text = chunk.decode("utf-8")
            self.completion += text
            yield text

    def extract_response_json(self, response):
        def info(prefix):
            found = {key.lower(): value for key, value in response.headers.items()}
            return {key[len(prefix) :]: value for key, value in found.items() if key.startswith(prefix)}

        return {
            "name": response.headers.get("name", ""),
            "timeout": float(response.headers.get("timeout", 0)),
            "total_size": int(response.headers.get("total_size", 0)),
            "header_size": int(response.headers.get("header_size", 0)),
            "dendrite": info("bt_header_dendrite_"),
            "axon": info("bt_header_axon_"),
            "prompt": self.prompt,
            "completion": self.completion,
        }


class Scale(Synapse):
    values: Tensor | None = None
    factor: int = 1
    more: list[Tensor] = []
    result: Tensor | None = None
    required_hash_fields: ClassVar[tuple[str, ...]] = ("values", "factor", "more")


class Point(BaseModel):
    x: int
    y: int


class Needy(Synapse):
    """Fields that the official dendrite cannot send: its axon refuses the dummies that it writes for them."""

    values: Tensor
    point: Point
    result: Tensor | None = None
    required_hash_fields: ClassVar[tuple[str, ...]] = ("values", "point")
