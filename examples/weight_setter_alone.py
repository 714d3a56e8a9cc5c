"""Only the WeightSetter: a validator with a loop of its own lets Ranvier bring its weights onto the chain.

Usage: python weight_setter_alone.py ENDPOINT NETUID WALLETS WALLET HOTKEY JOURNAL
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ranvier.chain import Wallet, connect
from ranvier.neurons.weights import WeightSetter


async def main(endpoint: str, netuid: int, wallet: Wallet, journal: Path) -> None:
    """Give every other neuron the same weight, in the present epoch."""
    chain, key = connect(endpoint), wallet.load_hotkey()
    try:
        metagraph = await chain.metagraph(netuid)
        others = (neuron.hotkey for neuron in metagraph.neurons if neuron.hotkey != key.ss58_address)
        with WeightSetter(chain, key, netuid, journal) as setter:
            # Journalled before it is sent, retried until the epoch ends, read back from the chain.
            outcome = await setter.set(dict.fromkeys(others, 1.0))
        print(f"epoch {outcome.epoch}: {outcome.landing} after {outcome.attempts} attempts {outcome.detail}")
    finally:
        await chain.close()


if __name__ == "__main__":
    endpoint, netuid, wallets, name, hotkey, journal = sys.argv[1:]
    asyncio.run(main(endpoint, int(netuid), Wallet(name, hotkey, Path(wallets)), Path(journal)))
