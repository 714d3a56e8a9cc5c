"""Options and arguments that these commands share."""

from __future__ import annotations

from decimal import Decimal, DecimalException
from pathlib import Path
from typing import Annotated, Final

import typer

Network = Annotated[str, typer.Option(help="local, test, finney, or an address.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
WalletName = Annotated[str, typer.Option("--wallet", help="Wallet's name.")]
Hotkey = Annotated[str, typer.Option(help="Hotkey's name in the wallet, or any hotkey's address.")]
Wallets = Annotated[Path, typer.Option("--wallets", help="Folder of all wallets.")]
MOST_NETUID: Final = 65_535
Netuid = Annotated[int, typer.Argument(min=0, max=MOST_NETUID, help="The subnet's number on the chain.")]
DEFAULT_WALLETS = Path("~/.bittensor/wallets")
_RAO_DIGITS = 9
_MOST_RAO = 21 * 10**15


def rao(text: str) -> int:
    """TAO as somebody writes it, to the rao. Raises typer's BadParameter."""
    try:
        amount = Decimal(text).scaleb(_RAO_DIGITS)
    except DecimalException:
        raise typer.BadParameter(f"{text!r} is no amount of TAO; write it as 12.5") from None
    if amount > _MOST_RAO:
        raise typer.BadParameter(f"{text!r}: there will never be more than 21 million TAO")
    if not amount.is_finite() or amount < 0 or amount != amount.to_integral_value():
        raise typer.BadParameter(f"{text!r} is no amount of TAO with at most {_RAO_DIGITS} decimal places")
    return int(amount)


def share(text: str) -> int:
    """A take such as 18% or 0.18, as u16 ratio. Raises typer's BadParameter."""
    try:
        value = Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except DecimalException:
        raise typer.BadParameter(f"{text!r} is no share; write it as 18% or 0.18") from None
    if not value.is_finite() or not 0 <= value <= 1:
        raise typer.BadParameter(f"{text!r} is not between 0 and 100%")
    return round(value * 65535)


def pairs(texts: list[str]) -> dict[int, float]:
    """netuid=weight texts as a mapping. Raises typer's BadParameter."""
    found: dict[int, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            netuid, weight = int(name), float(value)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not of the form NETUID=WEIGHT") from None
        if not 0 <= netuid <= MOST_NETUID:
            raise typer.BadParameter(f"{text!r}: netuids are from 0 to {MOST_NETUID}")
        if netuid in found:
            raise typer.BadParameter(f"{text!r}: subnet {netuid} is named twice")
        found[netuid] = weight
        if not 0 <= weight < float("inf"):
            raise typer.BadParameter(f"{text!r}: a weight is a number from 0 on")
    return found
