"""Who receives what an epoch gave a hotkey."""

from __future__ import annotations

from dataclasses import dataclass

from ranvier.chain.emission import split_delegate
from ranvier.chain.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Payment:
    """Emission of an epoch on its way to a hotkey: paid in the next block. Rao.

    On a subnet with a market of its alpha, `root` being what is sold there for the stake on root.
    """

    hotkey: str
    server: int
    validator: int
    root: int = 0


def pay(ledger: Ledger, payment: Payment, take: int | None) -> None:
    """Make a payment's rao into stake: a delegate's nominators share the validator's part, less the `take`.

    Without a take (nobody but the owner may stake) all is the owner's. The miner's part always is.
    """
    if take is None:
        if payment.server + payment.validator:
            ledger.mint_stake(payment.hotkey, payment.server + payment.validator)
        return
    holders = sorted(ledger.stakes.get(payment.hotkey, {}).items())
    kept, parts = split_delegate(payment.validator, take, [stake for _, stake in holders])
    if kept + payment.server:
        ledger.mint_stake(payment.hotkey, kept + payment.server)
    for (coldkey, _), part in zip(holders, parts, strict=True):
        if part:
            ledger.mint_stake(payment.hotkey, part, coldkey)
