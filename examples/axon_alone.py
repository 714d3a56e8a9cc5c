"""Only the Axon: a server of your own that answers authenticated callers, with no chain and no subnet.

Usage: python examples/axon_alone.py [--port 0] [--key //Bob]
"""

from __future__ import annotations

import argparse
import asyncio

from ranvier.protocol import Axon, Caller, Door, Reply, Synapse, keypair_from_uri


class Upper(Synapse):
    """Text to put into capitals; served at POST /Upper."""

    text: str

    class Reply(Reply):
        """The capitals."""

        text: str


async def upper(request: Upper, caller: Caller) -> Upper.Reply:
    return Upper.Reply(text=request.text.upper())


async def main(port: int, uri: str) -> None:
    """Serve everybody who can sign, until interrupted."""
    axon = Axon(keypair_from_uri(uri), port=port, door=Door.open()).serve(Upper, upper)
    async with axon:
        print(f"{axon.key.ss58_address} listens on {axon.port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default="//Bob", help="a development key; never one that holds value")
    options = parser.parse_args()
    asyncio.run(main(options.port, options.key))
