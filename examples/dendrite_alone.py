"""Only the Dendrite: ask the axon of axon_alone.py, and believe only what it signed.

Usage: python examples/dendrite_alone.py PORT [TEXT] [--key //Alice] [--miner //Bob]
"""

from __future__ import annotations

import argparse
import asyncio

from ranvier.protocol import AddressPolicy, Answered, Dendrite, Reply, Synapse, Target, keypair_from_uri


class Upper(Synapse):
    """Text to put into capitals; served at POST /Upper."""

    text: str

    class Reply(Reply):
        """The capitals."""

        text: str


async def main(port: int, text: str, uri: str, miner: str) -> None:
    """Ask once and say what came of it."""
    target = Target(keypair_from_uri(miner).ss58_address, "127.0.0.1", port)
    async with Dendrite(keypair_from_uri(uri), addresses=AddressPolicy.local()) as dendrite:
        outcome = await dendrite.ask(target, Upper(text=text), deadline=5.0)
    # One of Answered, Refused, TimedOut, Unreachable, Invalid: what a peer does is never an exception.
    print(outcome.reply.text if isinstance(outcome, Answered) else outcome)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("text", nargs="?", default="hello")
    parser.add_argument("--key", default="//Alice", help="a development key; never one that holds value")
    parser.add_argument("--miner", default="//Bob", help="the key that the answer must be signed with")
    options = parser.parse_args()
    asyncio.run(main(options.port, options.text, options.key, options.miner))
