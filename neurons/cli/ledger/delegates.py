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
    """All delegates, the one with most stake first: TAO, and netuid:alpha where there is any; the take as a share."""
    from ranvier.chain import RAO

    found = ask_local(network, lambda chain: chain.delegates())
    with_alpha = any(one.alpha for one in found)
    rows = []
    for one in found:
        alpha = (
            " ".join(f"{held.netuid}:{held.alpha / RAO:.4f}" for held in one.alpha),
            one.alpha_value / RAO,
        )
        rest = (one.nominators, one.take / 65535, " ".join(map(str, one.netuids)))
        rows.append((one.hotkey, one.stake / RAO, one.own / RAO, *(alpha if with_alpha else ()), *rest))
    of_alpha = ("alpha", "alpha_value") if with_alpha else ()
    columns = ("hotkey", "stake", "own", *of_alpha, "nominators", "take", "subnets")
    title = f"delegates of {network}, TAO" + (
        "; alpha_value is alpha at the pools' prices" if with_alpha else ""
    )
    show(columns, rows, as_json=as_json, title=title)


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
