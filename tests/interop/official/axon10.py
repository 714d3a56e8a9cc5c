"""Run by the environment of the official 10.5.0 SDK: its axon; prints READY and its hotkey."""

import asyncio
import os
import sys

port, mode, wallets = int(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.argv = sys.argv[:1]
from bittensor.core.axon import Axon
from bittensor.core.stream import StreamingSynapse
from bittensor.core.tensor import tensor
from house import Chat, Needy, Scale, echo, say, wallet

Echo = echo(mode == "hash")


async def forward(synapse: Echo) -> Echo:
    synapse.answer = f"{synapse.text} {len(synapse.tags)} {synapse.dendrite.hotkey}"
    return synapse


async def chat(synapse: Chat) -> StreamingSynapse.BTStreamingResponse:
    async def tokens(send):
        for word in ("grüße ", "from ", synapse.prompt):
            for byte in word.encode():  # letters of two bytes arrive in two pieces
                await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            await asyncio.sleep(0.01)
        if synapse.prompt == "break":
            raise RuntimeError("the model died")
        if synapse.prompt == "die":
            os._exit(1)
        if synapse.prompt == "hang":
            await asyncio.sleep(60)

    return synapse.create_streaming_response(tokens)


async def scale(synapse: Scale) -> Scale:
    synapse.result = tensor(synapse.values.tensor() * synapse.factor)
    return synapse


async def needy(synapse: Needy) -> Needy:
    synapse.result = tensor(synapse.values.tensor() * synapse.point.x + synapse.point.y)
    return synapse


mine = wallet("bob", wallets)
axon = Axon(wallet=mine, port=port, ip="127.0.0.1", external_ip="127.0.0.1", external_port=port)
for handler in (forward, chat, scale, needy):
    axon.attach(handler)
axon.start()
say("READY", mine.hotkey.ss58_address)
sys.stdin.read()
axon.stop()
