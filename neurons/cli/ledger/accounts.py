"""``ranvier account``, ``transfer``, ``faucet`` and ``register``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

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
from ranvier.neurons.cli.ledger.session import (
    ask,
    ask_local,
    coldkey,
    hotkey_address,
    is_address,
    send,
    wallet,
)

if TYPE_CHECKING:
    from ranvier.chain import Event
    from ranvier.chain.explorer import Account


def account(
    who: Annotated[str, typer.Argument(help="A wallet's name, or a coldkey's address.")] = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """What a coldkey has, and how that came: a line over time. TAO, and alpha with what it is worth in TAO."""
    from ranvier.chain import RAO
    from ranvier.neurons.cli.ledger.curves import curve

    address = who if is_address(who) else wallet(who, "default", wallets).coldkey_address()
    found = ask_local(network, lambda chain: chain.account(address))
    points = ask_local(network, lambda chain: chain.account_history(address, 0))
    if as_json:
        typer.echo(json.dumps({**asdict(found), "history": [asdict(point) for point in points]}, indent=2))
        return
    staked = sum(one.rao for one in found.stakes)
    typer.echo(f"{who} ({address})")
    typer.echo(
        f"  free {found.free / RAO:.4f}, staked {staked / RAO:.4f}, locked {found.locked / RAO:.4f} TAO"
    )
    for netuid, (alpha, value, worth) in alphas(found).items():
        priced = f"{value / RAO:.4f} TAO at the pool's price, {worth / RAO:.4f} TAO if sold now"
        typer.echo(f"  alpha of subnet {netuid}: {alpha / RAO:.4f}, {priced}")
    if found.alpha:
        whole = found.free + staked + found.locked + sum(one.value for one in found.alpha)
        typer.echo(f"  altogether {whole / RAO:.4f} TAO at the pools' prices")
    typer.echo(f"  hotkeys {len(found.hotkeys)}, subnets {', '.join(map(str, found.subnets)) or 'none'}")
    title = "free, staked and alpha at its price" if found.alpha else "free and staked"
    sums = [(one.block, (one.free + one.staked + one.alpha_value) / RAO) for one in points]
    curve(title, sums, unit="TAO")


def alphas(found: Account) -> dict[int, tuple[int, int, int]]:
    """(alpha, its rao at the pool's price, the rao that it would sell for) by netuid, over all hotkeys.

    What several hotkeys' stakes would sell for one after the other is a little less than the sum.
    """
    sums: dict[int, tuple[int, int, int]] = {}
    for one in found.alpha:
        alpha, value, worth = sums.get(one.netuid, (0, 0, 0))
        sums[one.netuid] = alpha + one.alpha, value + one.value, worth + one.worth
    return sums


def transfer(
    to: Annotated[str, typer.Argument(help="A coldkey's address, or a wallet's name.")],
    amount: Annotated[str, typer.Argument(help="TAO, e.g. 12.5.")],
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Pay somebody."""
    from ranvier.chain import Transfer

    value = rao(amount)
    address = to if is_address(to) else wallet(to, "default", wallets).coldkey_address()
    send(network, Transfer(address, value), coldkey(name, wallets), as_json=as_json)


def faucet(
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """TAO for nothing, on local chains that have a faucet; counted as issued."""
    from ranvier.chain import RAO, Faucet

    signer = coldkey(name, wallets)

    def given(event: Event) -> str:
        if event.name != "Faucet" or event.data["coldkey"] != signer.ss58_address:
            return ""
        return f"{event.data['amount'] / RAO:.4f} TAO"

    send(network, Faucet(), signer, as_json=as_json, tell=given)


def register(
    netuid: Netuid,
    hotkey: Hotkey = "default",
    work: Annotated[bool, typer.Option("--work", help="By proof of work: no TAO is needed.")] = False,
    seconds: Annotated[float, typer.Option(min=1, help="How long to search for work.")] = 300.0,
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Take a uid on a subnet: buy it with the coldkey's TAO, or work for it."""
    from ranvier.chain import RAO, Register

    if not work:
        call = Register(netuid, hotkey_address(name, hotkey, wallets))

        def placed(event: Event) -> str:
            data = event.data
            if event.name != "NeuronRegistered" or (data.get("netuid"), data.get("hotkey")) != (
                netuid,
                call.hotkey,
            ):
                return ""
            return f"uid {data['uid']}" + (f" for {data['burn'] / RAO:.4f} TAO" if "burn" in data else "")

        send(network, call, coldkey(name, wallets), as_json=as_json, tell=placed)
        return
    from rich.console import Console

    from ranvier.neurons.cli.ledger.working import found_work

    chosen = wallet(name, hotkey, wallets)
    key = chosen.load_hotkey()
    with Console(stderr=True).status(f"searching for work, {seconds:g} s at most"):
        receipt = ask(
            network, lambda chain: found_work(chain, netuid, key, chosen.coldkey_address(), seconds)
        )
    line = {"call": "RegisterWork", "block": receipt.block, "hash": receipt.call_hash}
    typer.echo(json.dumps(line) if as_json else f"RegisterWork was carried out in block {receipt.block}")
