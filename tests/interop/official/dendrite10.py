"""Run by the environment of the official 10.5.0 SDK: its dendrite asks once; prints what it understood as JSON."""

import asyncio
import json
import sys

port, hotkey, hashed, wallets = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "hash", sys.argv[4]
sys.argv = sys.argv[:1]
import bittensor.utils.networking as networking

networking.get_external_ip = lambda: "203.0.113.7"
from typing import ClassVar

import bittensor.core.dendrite as module
from bittensor.core.chain_data import AxonInfo
from bittensor.core.synapse import Synapse
from bittensor_wallet import Wallet

module.networking.get_external_ip = lambda: "203.0.113.7"


class Echo(Synapse):
    text: str
    tags: list = []
    answer: str | None = None
    required_hash_fields: ClassVar[tuple[str, ...]] = ("text", "tags") if hashed else ()


async def main() -> None:
    wallet = Wallet(name="dev", hotkey="alice", path=wallets)
    wallet.create_coldkey_from_uri("//Cold", use_password=False, overwrite=True, suppress=True)
    wallet.create_hotkey_from_uri("//Alice", use_password=False, overwrite=True, suppress=True)
    dendrite = module.Dendrite(wallet)
    axon = AxonInfo(version=1, ip="127.0.0.1", port=port, ip_type=4, hotkey=hotkey, coldkey=hotkey)
    found = []
    for text in ("hello", "grüße"):
        said = await dendrite.call(axon, Echo(text=text, tags=["a", "b"]), timeout=10, deserialize=False)
        found.append(
            {"answer": said.answer, "status": said.dendrite.status_code, "said": said.dendrite.status_message}
        )
    await dendrite.aclose_session()
    print(json.dumps(found), flush=True)


asyncio.run(main())
