"""The chain as a process of its own: JSON over HTTP, shared by every neuron of a local network."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from ranvier.chain.api import GENESIS_HEADER, Failure
from ranvier.chain.errors import CallRefused, ChainError, NotFound, PortOccupied
from ranvier.chain.genesis import Genesis
from ranvier.chain.node import ChainNode
from ranvier.chain.routes import NODE, BadRequest, add_routes, reply

log = logging.getLogger(__name__)
_MOST_BYTES = 256 * 1024
_GRACE = 1.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Running:
    """A chain that listens: its address and the node behind it."""

    endpoint: str
    port: int
    node: ChainNode


@asynccontextmanager
async def running(
    state_dir: Path, genesis: Genesis | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Running]:
    """A chain server for the length of a block; blocks are made by whoever runs `Running.node.run`.

    Port 0 takes a free one. Raises `PortOccupied`, and what `ChainNode.open` raises.
    """
    # Opened off the loop: reading a large state takes a while.
    node = await asyncio.to_thread(ChainNode.open, state_dir, genesis)
    runner = web.AppRunner(
        _application(node), access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE
    )
    try:
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PortOccupied(host, port, error.strerror or str(error)) from error
        bound = int(runner.addresses[0][1])
        shown = f"[{host}]" if ":" in host else host
        yield Running(f"http://{shown}:{bound}", bound, node)
    finally:
        await runner.cleanup()
        node.close()


async def serve(
    state_dir: Path,
    genesis: Genesis | None = None,
    host: str = "127.0.0.1",
    port: int = 9944,
    ready: Callable[[Running], None] | None = None,
) -> None:
    """Run a chain until cancelled; `ready` is called once it listens.

    `genesis` starts a chain in an empty folder; for a folder with a chain it may be left out, and if given
    must be the same. Raises `ChainError` where the chain cannot start or cannot go on.
    """
    async with running(state_dir, genesis, host=host, port=port) as chain:
        head = chain.node.head.number
        log.info("chain %s at %s, block %d", chain.node.genesis.name, chain.endpoint, head)
        if ready is not None:
            ready(chain)
        await chain.node.run()


def _application(node: ChainNode) -> web.Application:
    app = web.Application(middlewares=[_named], client_max_size=_MOST_BYTES)
    app[NODE] = node
    add_routes(app)
    return app


@web.middleware
async def _named(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the chain in every reply, and say errors in JSON."""
    try:
        response = await handler(request)
    except CallRefused as refusal:
        response = reply(Failure(name=refusal.name, message=refusal.message), 409)
    except NotFound as error:
        response = reply(Failure(name="NotFound", message=str(error)), 404)
    except BadRequest as error:
        response = reply(Failure(name="BadRequest", message=str(error)), 400)
    except ChainError as error:
        response = reply(Failure(name=type(error).__name__, message=str(error)), 503)
    except web.HTTPException as error:
        response = reply(Failure(name=error.reason, message=error.text or error.reason), error.status)
    response.headers[GENESIS_HEADER] = request.app[NODE].genesis_hash
    return response
