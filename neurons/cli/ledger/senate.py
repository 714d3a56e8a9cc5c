"""``ranvier senate``."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from ranvier.neurons.cli.ledger.options import DEFAULT_WALLETS, AsJson, Hotkey, Network, WalletName, Wallets
from ranvier.neurons.cli.ledger.session import ask_local, coldkey, hotkey_address, send
from ranvier.neurons.cli.tables import show

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ranvier.chain import DissolveSubnet, Event, SetHyperparameter, SetNetworkParameter

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Motions: a committee proposes, the senate of root's largest validators votes.",
)
Motion = Annotated[int, typer.Argument(min=0, max=2**53, help="The motion's number.")]


@app.command("show")
def show_senate(network: Network = "local", as_json: AsJson = False) -> None:
    """Open motions with their votes, and who sits in both houses."""
    found = ask_local(network, lambda chain: chain.network())
    rows = [
        (one.number, _what(one.action), one.ends, len(one.ayes), len(one.nays), len(found.senate) // 2 + 1)
        for one in found.motions
    ]
    show(
        ("motion", "action", "open_until", "for", "against", "needed"),
        rows,
        as_json=as_json,
        title="open motions",
    )
    if not as_json:
        typer.echo(f"senate: {', '.join(found.senate) or 'nobody; take a seat with `ranvier root register`'}")
        typer.echo(f"committee: {', '.join(found.committee) or 'nobody; the genesis names its members'}")


@app.command()
def propose(
    action: Annotated[
        str, typer.Argument(help="network NAME VALUE, subnet NETUID NAME VALUE, or dissolve NETUID.")
    ],
    rest: Annotated[list[str], typer.Argument(help="What belongs to the action.")],
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Open a motion, as a member of the committee."""
    from ranvier.chain import Propose

    call, signer = Propose(_action(action, rest)), coldkey(name, wallets)

    def opened(event: Event) -> str:
        if event.name != "Proposed" or event.data["proposer"] != signer.ss58_address:
            return ""
        return f"motion {event.data['motion']}, open to block {event.data['ends']}"

    send(network, call, signer, as_json=as_json, tell=opened)


@app.command()
def vote(
    motion: Motion,
    approve: Annotated[bool, typer.Option("--for/--against", help="Which side.")] = True,
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Vote with a hotkey that sits in the senate."""
    from ranvier.chain import Vote

    call = Vote(motion, hotkey_address(name, hotkey, wallets), approve)
    send(network, call, coldkey(name, wallets), as_json=as_json)


@app.command()
def close(
    motion: Motion,
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Carry a motion out that has won, or drop one that has lost or run out."""
    from ranvier.chain import CloseMotion

    def became(event: Event) -> str:
        if event.data.get("motion") != motion:
            return ""
        if event.name == "MotionFailed":
            return f"it could not be carried out: {event.data['error']}: {event.data['message']}"
        if event.name == "MotionExecuted":
            return f"{event.data['action']} was carried out"
        if event.name != "MotionClosed":
            return ""
        outcome = "carried" if event.data["carried"] else "dropped"
        return f"motion {motion} was {outcome}: {event.data['ayes']} for, {event.data['nays']} against"

    send(network, CloseMotion(motion), coldkey(name, wallets), as_json=as_json, tell=became)


def _action(kind: str, rest: list[str]) -> SetNetworkParameter | SetHyperparameter | DissolveSubnet:
    from ranvier.chain import (
        DissolveSubnet,
        Hyperparameters,
        NetworkParameters,
        SetHyperparameter,
        SetNetworkParameter,
    )

    try:
        if kind == "network":
            name, value = rest
            return SetNetworkParameter(_known(name, NetworkParameters), int(value))
        if kind == "subnet":
            netuid, name, value = rest
            return SetHyperparameter(int(netuid), _known(name, Hyperparameters), int(value))
        if kind == "dissolve":
            (netuid,) = rest
            return DissolveSubnet(int(netuid))
    except ValueError as error:
        raise typer.BadParameter(
            f"{kind} {' '.join(rest)}: not of the form that it takes (see --help)"
        ) from error
    raise typer.BadParameter(f"{kind!r} is no action; name network, subnet or dissolve")


def _known(name: str, settings: type[BaseModel]) -> str:
    """The name of a setting; a motion with another could be carried, and then not be carried out."""
    if name in settings.model_fields:
        return name
    near = get_close_matches(name, settings.model_fields, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(settings.model_fields)}"
    raise typer.BadParameter(f"there is no setting {name!r}; {hint}")


def _what(action: str) -> str:
    fields = json.loads(action)
    kind = fields.pop("call")
    return f"{kind} " + " ".join(f"{name}={value}" for name, value in fields.items())
