"""``ranvier root``."""

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
    pairs,
)
from ranvier.neurons.cli.ledger.session import ask_local, coldkey, hotkey_address, send
from ranvier.neurons.cli.tables import show

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The root network: its seats, and emission between subnets.",
)


@app.command("show")
def show_root(network: Network = "local", as_json: AsJson = False) -> None:
    """Root's validators, and how each weighs the subnets."""
    from ranvier.chain import RAO

    rows = []
    for seat in ask_local(network, lambda chain: chain.root()):
        total = sum(seat.weights.values()) or 1
        weights = " ".join(
            f"{netuid}:{weight / total:.2f}" for netuid, weight in seat.weights.items() if weight
        )
        rows.append((seat.uid, seat.hotkey, seat.stake / RAO, seat.last_update, weights))
    show(
        ("uid", "hotkey", "stake", "last_update", "weights"),
        rows,
        as_json=as_json,
        title=f"root of {network}",
    )


@app.command()
def register(
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Take a seat: a free one, or that of who has less stake than you."""
    from ranvier.chain import RootRegister

    send(
        network, RootRegister(hotkey_address(name, hotkey, wallets)), coldkey(name, wallets), as_json=as_json
    )


@app.command()
def weights(
    subnets: Annotated[list[str], typer.Argument(help="NETUID=WEIGHT, e.g. 1=0.6 3=0.4.")],
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Divide emission between subnets, as far as your stake goes."""
    from ranvier.chain import SetRootWeights

    found = pairs(subnets)
    top = max(found.values(), default=0.0)
    if not top:
        raise typer.BadParameter("give at least one subnet a weight above 0")
    values = tuple(round(value / top * 65535) for value in found.values())
    call = SetRootWeights(hotkey_address(name, hotkey, wallets), tuple(found), values)
    send(network, call, coldkey(name, wallets), as_json=as_json)
