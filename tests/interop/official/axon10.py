"""Run by the environment of the official 10.5.0 SDK: its axon, one echo; prints READY and its hotkey."""

import sys

port, hashed, wallets = int(sys.argv[1]), sys.argv[2] == "hash", sys.argv[3]
sys.argv = sys.argv[:1]
import bittensor.utils.networking as networking

networking.get_external_ip = lambda: "203.0.113.7"
from typing import ClassVar

from bittensor.core.axon import Axon
from bittensor.core.synapse import Synapse
from bittensor_wallet import Wallet


class Echo(Synapse):
    text: str
    tags: list = []
    answer: str | None = None
    required_hash_fields: ClassVar[tuple[str, ...]] = ("text", "tags") if hashed else ()


async def forward(synapse: Echo) -> Echo:
    synapse.answer = f"{synapse.text} {len(synapse.tags)} {synapse.dendrite.hotkey}"
    return synapse


wallet = Wallet(name="dev", hotkey="bob", path=wallets)
wallet.create_coldkey_from_uri("//Cold", use_password=False, overwrite=True, suppress=True)
wallet.create_hotkey_from_uri("//Bob", use_password=False, overwrite=True, suppress=True)
axon = Axon(wallet=wallet, port=port, ip="127.0.0.1", external_ip="127.0.0.1", external_port=port)
axon.attach(forward)
axon.start()
print("READY", wallet.hotkey.ss58_address, flush=True)
sys.stdin.read()
axon.stop()
