"""Stake that is sent with a word about its price: what is expected before, what became of it after."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import typer

from ranvier.neurons.cli.ledger.session import ask

if TYPE_CHECKING:
    from ranvier.chain import AddStake, ChainClient, Keypair, MoveStake, Receipt, RemoveStake
    from ranvier.chain.quotes import Quote

    Trade = AddStake | RemoveStake | MoveStake

_EVENTS: Final = {"AddStake": "StakeAdded", "RemoveStake": "StakeRemoved", "MoveStake": "StakeMoved"}


def send_trade(network: str, call: Trade, signer: Keypair, *, as_json: bool) -> None:
    """Say what the trade is expected to give, send it, and say what it gave. Raises `CallRefused`.

    Stake of TAO is no trade; of other chains than ours no prices are asked for.
    """

    async def run(chain: ChainClient) -> tuple[Quote | None, Receipt, int | None]:
        found = await expected(chain, call)
        if found is not None and not as_json:
            typer.echo(f"expected: {worded(call, found)}")
        receipt = await chain.submit(call, signer, deadline=60.0)
        return found, receipt, None if found is None else await _filled(chain, call, signer, receipt)

    found, receipt, got = ask(network, run)
    if as_json:
        line: dict[str, Any] = {"call": call.call, "block": receipt.block, "hash": receipt.call_hash}
        if found is not None:
            line |= {"expected": {**asdict(found), "slippage": found.slippage}, "got": got}
        typer.echo(json.dumps(line))
        return
    tail = "" if got is None else f": {got / 10**9:.4f} {_unit(places(call)[1])}"
    typer.echo(f"{call.call} was carried out in block {receipt.block}{tail}")


def places(call: Trade) -> tuple[int, int]:
    """The netuids whose alpha is given and got; 0 is TAO."""
    if call.call == "MoveStake":
        return call.origin_netuid, call.netuid
    return (0, call.netuid) if call.call == "AddStake" else (call.netuid, 0)


async def expected(chain: ChainClient, call: Trade) -> Quote | None:
    """What the pools would give now; None for what is no trade, or not to be known here."""
    from ranvier.chain import NotFound
    from ranvier.chain.local import LocalChain
    from ranvier.chain.quotes import quote

    sold, bought = places(call)
    if sold == bought or not isinstance(chain, LocalChain):
        return None
    try:
        of_sold, of_bought = [
            (await chain.subnet_detail(one)).market if one else None for one in (sold, bought)
        ]
    except NotFound:
        return None  # as without alpha: the chain refuses the call, by its own name
    if (sold and of_sold is None) or (bought and of_bought is None):
        return None
    return quote(of_sold, of_bought, call.amount)


def worded(call: Trade, found: Quote) -> str:
    """The quote as a line."""
    sold, bought = places(call)
    each = "TAO" if 0 in (sold, bought) else "for one"
    amounts = f"{found.got / 10**9:.4f} {_unit(bought)} for {found.amount / 10**9:.4f} {_unit(sold)}"
    return (
        f"{amounts}, at {found.fill:.6g} {each}; "
        f"the price goes from {found.before:.6g} to {found.after:.6g}, slippage {found.slippage:.2%}"
    )


def _unit(netuid: int) -> str:
    return f"alpha of subnet {netuid}" if netuid else "TAO"


async def _filled(chain: ChainClient, call: Trade, signer: Keypair, receipt: Receipt) -> int | None:
    """What the trade gave, by the chain's own event of it."""
    for event in await chain.events(receipt.block - 1):
        data = event.data
        if event.block == receipt.block and event.name == _EVENTS[call.call]:
            same = data["coldkey"] == signer.ss58_address and data["hotkey"] == call.hotkey
            given = data["alpha"] if call.call == "RemoveStake" else data["amount"]
            if same and given == call.amount and data.get("netuid") == call.netuid:
                return int(
                    data[{"AddStake": "alpha", "RemoveStake": "amount", "MoveStake": "got"}[call.call]]
                )
    return None
