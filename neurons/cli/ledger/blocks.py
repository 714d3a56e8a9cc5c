"""``ranvier blocks`` and ``ranvier events``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ranvier.neurons.cli.ledger.options import AsJson, Network
from ranvier.neurons.cli.ledger.session import ask
from ranvier.neurons.cli.tables import show

if TYPE_CHECKING:
    from ranvier.chain import Block, ChainClient


def blocks(
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest last.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """The newest blocks."""

    async def read(chain: ChainClient) -> list[Block]:
        head, found = await chain.block(), []
        async for block in chain.blocks(max(head.number - count, 0)):
            if follow:
                _say(block, as_json=as_json)
                continue
            found.append(block)
            if block.number >= head.number:
                break
        return found

    rows = [(one.number, one.hash, one.timestamp) for one in ask(network, read)]
    show(("block", "hash", "timestamp"), rows, as_json=as_json)


def _say(block: Block, *, as_json: bool) -> None:
    line = {"block": block.number, "hash": block.hash, "timestamp": block.timestamp}
    typer.echo(json.dumps(line) if as_json else f"{block.number}  {block.hash}")


def events(
    since: Annotated[
        int | None, typer.Option(min=0, help="Of blocks after this; the last 100 by default.")
    ] = None,
    name: Annotated[list[str] | None, typer.Option(help="Only of this name; repeatable.")] = None,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """What happened on the chain."""

    async def read(chain: ChainClient) -> list[tuple[int, str, str]]:
        first = since if since is not None else max((await chain.block()).number - 100, 0)
        return [
            (one.block, one.name, json.dumps(one.data))
            for one in await chain.events(first)
            if not name or one.name in name
        ]

    show(("block", "event", "data"), ask(network, read), as_json=as_json)
