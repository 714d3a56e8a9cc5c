"""``ranvier stake``."""

from __future__ import annotations

from typing import Annotated

import typer

from ranvier.neurons.cli.ledger.options import (
    DEFAULT_WALLETS,
    AsJson,
    Hotkey,
    Netuid,
    Network,
    WalletName,
    Wallets,
    rao,
)
from ranvier.neurons.cli.ledger.session import ask_local, coldkey, hotkey_address, send, wallet
from ranvier.neurons.cli.tables import show

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Stake TAO to hotkeys, move it, take it back."
)
Amount = Annotated[str, typer.Argument(help="TAO, e.g. 12.5.")]


@app.command()
def add(
    amount: Amount,
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """From the wallet's balance to a hotkey: its own, or a delegate's."""
    from ranvier.chain import AddStake

    value = rao(amount)
    call = AddStake(hotkey_address(name, hotkey, wallets), value)
    send(network, call, coldkey(name, wallets), as_json=as_json)


@app.command()
def remove(
    amount: Amount,
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Back to the wallet's balance."""
    from ranvier.chain import RemoveStake

    value = rao(amount)
    call = RemoveStake(hotkey_address(name, hotkey, wallets), value)
    send(network, call, coldkey(name, wallets), as_json=as_json)


@app.command()
def move(
    amount: Amount,
    to: Annotated[str, typer.Option(help="Hotkey's name in the wallet, or any hotkey's address.")],
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """From one hotkey to another."""
    from ranvier.chain import MoveStake

    value = rao(amount)
    origin, target = (hotkey_address(name, one, wallets) for one in (hotkey, to))
    send(network, MoveStake(origin, target, value), coldkey(name, wallets), as_json=as_json)


@app.command("list")
def list_stakes(
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """What the wallet has on which hotkeys, TAO."""
    from ranvier.chain import RAO

    address = wallet(name, "default", wallets).coldkey_address()
    found = ask_local(network, lambda chain: chain.account(address))
    rows = [(one.hotkey, one.rao / RAO, one.hotkey in found.hotkeys) for one in found.stakes]
    show(("hotkey", "stake", "own"), rows, as_json=as_json, title=f"stakes of {name} ({address})")


@app.command()
def children(
    netuid: Netuid,
    shares: Annotated[
        list[str] | None, typer.Argument(help="HOTKEY=SHARE, e.g. 5F...=25%; none: no children.")
    ] = None,
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Let other hotkeys validate on a subnet with shares of this one's stake."""
    from ranvier.chain import SetChildren
    from ranvier.chain.children import WHOLE
    from ranvier.neurons.cli.ledger.options import share

    found = []
    for text in shares or ():
        child, _, part = text.partition("=")
        found.append((share(part) * WHOLE // 65535, hotkey_address(name, child, wallets)))
    call = SetChildren(hotkey_address(name, hotkey, wallets), netuid, tuple(found))
    send(network, call, coldkey(name, wallets), as_json=as_json)


@app.command("child-take")
def child_take(
    netuid: Netuid,
    take: Annotated[str, typer.Argument(help="e.g. 9% or 0.09.")],
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """What this hotkey keeps of dividends on its parents' stake."""
    from ranvier.chain import SetChildTake
    from ranvier.neurons.cli.ledger.options import share

    value = share(take)
    call = SetChildTake(hotkey_address(name, hotkey, wallets), netuid, value)
    send(network, call, coldkey(name, wallets), as_json=as_json)
