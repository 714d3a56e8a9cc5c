"""Run by the environment of the official 10.5.0 SDK: its dendrite asks; prints what it understood as JSON."""

import asyncio
import json
import sys

port, hotkey, mode, wallets = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
sys.argv = sys.argv[:1]
import numpy
from bittensor.core.chain_data import AxonInfo
from bittensor.core.dendrite import Dendrite
from bittensor.core.synapse import Synapse
from bittensor.core.tensor import tensor
from house import Chat, Scale, echo, say, wallet

AXON = AxonInfo(version=1, ip="127.0.0.1", port=port, ip_type=4, hotkey=hotkey, coldkey=hotkey)


def outcome(said) -> dict:
    return {"status": said.dendrite.status_code, "said": said.dendrite.status_message, "axon": said.axon.hotkey, "took": said.axon.process_time}


async def echoes(dendrite) -> list:
    Echo, found = echo(mode == "hash"), []
    for text in ("hello", "grüße"):
        said = await dendrite.call(AXON, Echo(text=text, tags=["a", "b"]), timeout=10, deserialize=False)
        found.append({"answer": said.answer, **outcome(said)})
    return found


async def chats(dendrite) -> list:
    found = []
    for prompt in ("you", "decline", "break"):
        stream = await dendrite.forward(AXON, Chat(prompt=prompt), timeout=10, deserialize=False, streaming=True)
        *pieces, said = [piece async for piece in stream]
        found.append({"text": "".join(pieces), "completion": said.completion, **outcome(said)})
    return found


async def scales(dendrite) -> list:
    found = []
    for array in (numpy.arange(6, dtype="float32").reshape(2, 3), numpy.array(7), numpy.zeros((0,), "uint8")):
        asked = Scale(values=tensor(array), factor=3, more=[tensor(array)])
        said = await dendrite.call(AXON, asked, timeout=10, deserialize=False)
        result = said.result and {"values": said.result.tolist(), "dtype": said.result.dtype}
        found.append({"result": result, **outcome(said)})
    return found


async def pings(dendrite) -> list:
    return [outcome(await dendrite.call(AXON, Synapse(), timeout=10, deserialize=False))]


async def main() -> None:
    asked = {"plain": echoes, "hash": echoes, "stream": chats, "tensor": scales, "ping": pings}[mode]
    dendrite = Dendrite(wallet("alice", wallets))
    found = await asked(dendrite)
    await dendrite.aclose_session()
    say("FOUND", json.dumps(found))


asyncio.run(main())
