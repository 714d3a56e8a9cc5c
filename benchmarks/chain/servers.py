"""The processes that `served` asks: the chain, and bare aiohttp that says as much and does nothing.

Run: python servers.py chain FOLDER GENESIS | bare REPLY
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aiohttp import web


async def chain(folder: str, genesis: str) -> None:
    """The chain's own server."""
    from ranvier.chain.genesis import Genesis
    from ranvier.chain.server import serve

    await serve(
        Path(folder),
        Genesis.read(Path(genesis)),
        port=0,
        ready=lambda running: print(running.endpoint, flush=True),
    )


async def bare(reply: str) -> None:
    """Two routes for calls and one for the metagraph, replies as large as the chain's."""
    metagraph = json.loads(await asyncio.to_thread(Path(reply).read_text))
    name = "0x" + 64 * "a"

    async def submit(request: web.Request) -> web.Response:
        call: dict[str, Any] = await request.json()
        return web.json_response({"call_hash": name, "status": "waiting", "nonce": call["nonce"]})

    async def outcome(_request: web.Request) -> web.Response:
        said = {"call_hash": name, "status": "settled", "block": 1, "error": None, "message": None}
        return web.json_response(said)

    async def whole(_request: web.Request) -> web.Response:
        return web.json_response(metagraph)

    app = web.Application()
    app.router.add_post("/v1/calls", submit)
    app.router.add_get("/v1/calls/{hash:0x[0-9a-f]{64}}", outcome)
    app.router.add_get("/v1/subnets/{netuid:[0-9]{1,5}}/metagraph", whole)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run({"chain": chain, "bare": bare}[sys.argv[1]](*sys.argv[2:]))
