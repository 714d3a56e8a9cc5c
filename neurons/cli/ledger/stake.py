"""``ranvier stake``."""

from __future__ import annotations

from typing import Annotated

import typer

from ranvier.neurons.cli.ledger.options import (
    DEFAULT_WALLETS,
    MOST_NETUID,
    AsJson,
    Hotkey,
    Netuid,
    Network,
    WalletName,
    Wallets,
    rao,
)
from ranvier.neurons.cli.ledger.session import ask_local, coldkey, hotkey_address, send, wallet
from ranvier.neurons.cli.ledger.trades import send_trade
from ranvier.neurons.cli.tables import show

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Stake TAO or alpha of subnets to hotkeys, move it, take it back.",
)
Amount = Annotated[str, typer.Argument(help="TAO, e.g. 12.5; alpha where it leaves a subnet.")]
Of = Annotated[
    int, typer.Option("--netuid", min=0, max=MOST_NETUID, help="A subnet, whose alpha is staked; 0: TAO.")
]
Limit = Annotated[
    str | None,
    typer.Option(help="TAO for one alpha beyond which the trade may not move the price, e.g. 0.02."),
]


@app.command()
def add(
    amount: Amount,
    hotkey: Hotkey = "default",
    netuid: Of = 0,
    limit_price: Limit = None,
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """From the wallet's balance to a hotkey: its own, or a delegate's. On a subnet the TAO buys its alpha."""
    from ranvier.chain import AddStake

    value = rao(amount)
    call = AddStake(hotkey_address(name, hotkey, wallets), value, netuid, _limit(limit_price))
    send_trade(network, call, coldkey(name, wallets), as_json=as_json)


@app.command()
def remove(
    amount: Amount,
    hotkey: Hotkey = "default",
    netuid: Of = 0,
    limit_price: Limit = None,
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Back to the wallet's balance; alpha of a subnet is sold."""
    from ranvier.chain import RemoveStake

    value = rao(amount)
    call = RemoveStake(hotkey_address(name, hotkey, wallets), value, netuid, _limit(limit_price))
    send_trade(network, call, coldkey(name, wallets), as_json=as_json)


@app.command()
def move(
    amount: Amount,
    to: Annotated[str, typer.Option(help="Hotkey's name in the wallet, or any hotkey's address.")],
    hotkey: Hotkey = "default",
    origin_netuid: Annotated[
        int, typer.Option("--from-netuid", min=0, max=MOST_NETUID, help="Subnet that it leaves; 0: TAO.")
    ] = 0,
    netuid: Of = 0,
    limit_price: Annotated[
        str | None,
        typer.Option(
            help="What is bought for one of what is sold, below which that ratio may not fall; TAO at --netuid 0."
        ),
    ] = None,
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """From one hotkey to another, or between subnets: then one alpha is sold and the other bought."""
    from ranvier.chain import MoveStake

    value = rao(amount)
    origin, target = (hotkey_address(name, one, wallets) for one in (hotkey, to))
    call = MoveStake(origin, target, value, origin_netuid, netuid, _limit(limit_price))
    send_trade(network, call, coldkey(name, wallets), as_json=as_json)


def _limit(text: str | None) -> int | None:
    return None if text is None else rao(text)


@app.command("list")
def list_stakes(
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """What the wallet has on which hotkeys: TAO (netuid 0), and alpha of subnets.

    value: TAO at the pool's price of now; worth: TAO if all of it was sold.
    """
    from ranvier.chain import RAO

    address = wallet(name, "default", wallets).coldkey_address()
    found = ask_local(network, lambda chain: chain.account(address))
    rows = [
        (one.hotkey, one.rao / RAO, one.hotkey in found.hotkeys, 0, one.rao / RAO, one.rao / RAO)
        for one in found.stakes
    ]
    rows += [
        (
            *(one.hotkey, one.alpha / RAO, one.hotkey in found.hotkeys, one.netuid),
            *(one.value / RAO, one.worth / RAO),
        )
        for one in found.alpha
    ]
    show(
        ("hotkey", "stake", "own", "netuid", "value", "worth"),
        rows,
        as_json=as_json,
        title=f"stakes of {name} ({address})",
    )


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
