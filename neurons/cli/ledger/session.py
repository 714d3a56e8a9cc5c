"""A chain for one command, and calls that are signed by a wallet's keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from ranvier.neurons.errors import ConfigError

if TYPE_CHECKING:
    from ranvier.chain import Call, ChainClient, Event, Keypair, Receipt, Wallet
    from ranvier.chain.local import LocalChain

T = TypeVar("T")


def ask(network: str, question: Callable[[ChainClient], Awaitable[T]]) -> T:
    """Connect, ask, close. Raises `ChainError`."""

    async def run() -> T:
        from ranvier.chain import connect
        from ranvier.neurons.config import resolve

        chain = connect(resolve(network).endpoint)
        try:
            return await question(chain)
        finally:
            await chain.close()

    return asyncio.run(run())


def ask_local(network: str, question: Callable[[LocalChain], Awaitable[T]]) -> T:
    """`ask` a chain server of ours; raises `ConfigError` for another chain, whose explorers know these things."""
    from ranvier.chain.local import LocalChain

    async def checked(chain: ChainClient) -> T:
        if not isinstance(chain, LocalChain):
            raise ConfigError("network", f"{network} is no local chain; for public ones use their explorers")
        return await question(chain)

    return ask(network, checked)


def wallet(name: str, hotkey: str, root: Path) -> Wallet:
    """Names only; nothing is read yet."""
    from ranvier.chain import Wallet

    return Wallet(name, "default" if is_address(hotkey) else hotkey, root)


def is_address(text: str) -> bool:
    """Whether a hotkey was named by its address."""
    from ranvier.chain.addresses import is_address as known

    return known(text)


def hotkey_address(name: str, hotkey: str, root: Path) -> str:
    """The address of a hotkey that was named, or given as an address. Raises `WalletError`."""
    return hotkey if is_address(hotkey) else wallet(name, hotkey, root).hotkey_address()


def coldkey(name: str, root: Path) -> Keypair:
    """Opened; an encrypted one asks for its password at a terminal only. Raises `WalletError`."""
    from ranvier.neurons.registration import open_coldkey

    return open_coldkey(wallet(name, "default", root))


def send(
    network: str,
    call: Call,
    signer: Keypair,
    *,
    as_json: bool = False,
    tell: Callable[[Event], str] | None = None,
) -> Receipt:
    """Sign, send, wait for its block, and say so. Raises `CallRefused` with cause and next step.

    `tell` gives the line for an event of that block, or nothing for one that is none of this call's; other chains than
    ours name and fill theirs in other ways.
    """
    from ranvier.chain.local import LocalChain

    async def run(chain: ChainClient) -> tuple[Receipt, list[Event]]:
        receipt = await chain.submit(call, signer, deadline=60.0)
        if tell is None or not isinstance(chain, LocalChain):
            return receipt, []
        events = await chain.events(receipt.block - 1)
        return receipt, [event for event in events if event.block == receipt.block and tell(event)]

    receipt, events = ask(network, run)
    if as_json:
        line: dict[str, Any] = {"call": call.call, "block": receipt.block, "hash": receipt.call_hash}
        if tell is not None:
            line["events"] = [{"name": event.name, "data": event.data} for event in events]
        typer.echo(json.dumps(line))
        return receipt
    typer.echo(f"{call.call} was carried out in block {receipt.block}")
    for event in events:
        typer.echo(f"  {tell(event) if tell else ''}")
    return receipt
