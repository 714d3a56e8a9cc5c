"""``ranvier delegate``."""

from __future__ import annotations

from typing import Annotated

import typer

from ranvier.neurons.cli.ledger.options import (
    DEFAULT_WALLETS,
    AsJson,
    Hotkey,
    Network,
    WalletName,
    Wallets,
    share,
)
from ranvier.neurons.cli.ledger.session import ask_local, coldkey, hotkey_address, send
from ranvier.neurons.cli.tables import show

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Hotkeys that others may stake to, and their takes."
)
Take = Annotated[str, typer.Argument(help="e.g. 9% or 0.09.")]


@app.command("list")
def list_delegates(network: Network = "local", as_json: AsJson = False) -> None:
    """All delegates, the one with most stake first; TAO, and the take as a share."""
    from ranvier.chain import RAO

    rows = [
        (
            one.hotkey,
            one.stake / RAO,
            one.own / RAO,
            one.nominators,
            one.take / 65535,
            " ".join(map(str, one.netuids)),
        )
        for one in ask_local(network, lambda chain: chain.delegates())
    ]
    columns = ("hotkey", "stake", "own", "nominators", "take", "subnets")
    show(columns, rows, as_json=as_json, title=f"delegates of {network}")


@app.command()
def become(
    take: Take,
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Open a hotkey of the wallet to everybody's stake."""
    from ranvier.chain import BecomeDelegate

    call = BecomeDelegate(hotkey_address(name, hotkey, wallets), share(take))
    send(network, call, coldkey(name, wallets), as_json=as_json)


@app.command()
def take(
    value: Take,
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Take more or less: less at any time, more once in a while."""
    from ranvier.chain import DecreaseTake, IncreaseTake

    address, wanted = hotkey_address(name, hotkey, wallets), share(value)
    found = ask_local(network, lambda chain: chain.delegates())
    now = next((one.take for one in found if one.hotkey == address), 0)
    call = IncreaseTake(address, wanted) if wanted > now else DecreaseTake(address, wanted)
    send(network, call, coldkey(name, wallets), as_json=as_json)
