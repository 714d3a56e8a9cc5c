"""``ranvier wallet``."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Create and show wallets (the official layout)."
)

Root = Annotated[Path, typer.Option("--wallets", help="Folder of all wallets.")]
DEFAULT = Path("~/.bittensor/wallets")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Wallet's name.")] = "default",
    hotkey: Annotated[str, typer.Option(help="Hotkey's name.")] = "default",
    wallets: Root = DEFAULT,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Encrypt the coldkey; asks for a password at a terminal.")
    ] = False,
) -> None:
    """Make a hotkey, and the coldkey that owns it where the wallet has none."""
    from ranvier.chain import Wallet

    password = _new_password() if encrypt else None
    wallet = Wallet.create(name, hotkey, wallets, coldkey_password=password)
    typer.echo(f"coldkey {wallet.coldkey_address()}  {wallet.coldkey_file}")
    typer.echo(f"hotkey  {wallet.hotkey_address()}  {wallet.hotkey_file}")
    if not encrypt:
        typer.echo("The coldkey is not encrypted: use it on local networks only, or add --encrypt.", err=True)


@app.command("list")
def list_wallets(
    wallets: Root = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """All wallets and hotkeys with their addresses; no secret is read where a public file lies beside it."""
    from ranvier.neurons.cli.tables import show

    show(("wallet", "coldkey", "hotkey", "address"), list(_rows(wallets.expanduser())), as_json=as_json)


@app.command()
def show(
    name: Annotated[str, typer.Option(help="Wallet's name.")] = "default",
    hotkey: Annotated[str, typer.Option(help="Hotkey's name.")] = "default",
    wallets: Root = DEFAULT,
) -> None:
    """One wallet's addresses as JSON."""
    from ranvier.chain import Wallet

    wallet = Wallet(name, hotkey, wallets)
    found = {"wallet": name, "coldkey": wallet.coldkey_address(), "hotkey": wallet.hotkey_address()}
    typer.echo(json.dumps(found))


def _rows(root: Path) -> list[tuple[str, ...]]:
    from ranvier.chain import Wallet, WalletError

    rows: list[tuple[str, ...]] = []
    for file in sorted(root.glob("*/hotkeys/*")):
        if file.name.endswith("pub.txt"):
            continue
        wallet = Wallet(file.parent.parent.name, file.name, root)
        try:
            rows.append((wallet.name, wallet.coldkey_address(), wallet.hotkey, wallet.hotkey_address()))
        except WalletError as error:
            rows.append((wallet.name, "", wallet.hotkey, f"unreadable: {error}"))
    return rows


def _new_password() -> str:
    from ranvier.chain import WalletError

    if not sys.stdin.isatty():
        raise WalletError(
            "a password is only asked for at a terminal; run this there, or leave --encrypt away"
        )
    password = getpass.getpass("Password for the new coldkey: ")
    if not password or password != getpass.getpass("The same again: "):
        raise WalletError("the two passwords differ or are empty; nothing was written, try again")
    return password
