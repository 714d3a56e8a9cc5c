"""The group of commands, each imported only when it is named."""

from __future__ import annotations

import importlib
from typing import Any, Final

import typer
from typer.core import TyperGroup

ROOT: Final = "ranvier.neurons"
COMMANDS: Final = {
    "miner": ("cli.nodes:miner", "Answer a subnet's requests and earn."),
    "validator": ("cli.nodes:validator", "Ask, verify, score and set weights."),
    "engine": ("cli.servers:engine", "Load models once and serve them to neurons."),
    "chain": ("cli.chains:app", "Run a local chain."),
    "localnet": ("localnet.cli:localnet", "A whole network on this machine, with real models."),
    "models": ("cli.models:app", "Prepare models, list them, say what fits this box, bench them."),
    "doctor": ("cli.doctor:app", "Look whether a node can run, and say what to do."),
    "wallet": ("cli.wallets:app", "Create and show wallets."),
    "subnets": (
        "cli.ledger.subnets:app",
        "The subnets of a chain, or those installed here; found and change them.",
    ),
    "metagraph": ("cli.listings:metagraph", "The neurons of a subnet."),
    "register": ("cli.ledger.accounts:register", "Take a place on a subnet: buy it, or work for it."),
    "stake": ("cli.ledger.stake:app", "Stake TAO to hotkeys, move it, take it back; children."),
    "delegate": ("cli.ledger.delegates:app", "Hotkeys that others may stake to, and their takes."),
    "root": ("cli.ledger.root:app", "The root network: seats, and emission between subnets."),
    "senate": ("cli.ledger.senate:app", "Motions: propose, vote, carry out."),
    "account": ("cli.ledger.accounts:account", "What a coldkey has."),
    "transfer": ("cli.ledger.accounts:transfer", "Pay somebody."),
    "faucet": ("cli.ledger.accounts:faucet", "TAO for nothing, on local chains."),
    "blocks": ("cli.ledger.blocks:blocks", "The newest blocks of a chain."),
    "events": ("cli.ledger.blocks:events", "What happened on a chain."),
    "new": ("cli.scaffold:new", "Make a package for a subnet of your own."),
}
"""Command: (module:function or app below `ranvier.neurons`, what it does)."""


class Commands(TyperGroup):
    """Lists all commands without importing any."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order of a newcomer's interest."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A placeholder with the command's line: all that the group's help needs."""
        return _listed(cmd_name, COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that was named; unknown ones are a usage error with a suggestion."""
        if args and args[0] in COMMANDS:
            reference, line = COMMANDS[args[0]]
            return args[0], _load(args[0], reference, line), args[1:]
        return super().resolve_command(ctx, args)


def _listed(name: str, line: str) -> Any:
    return typer.core.TyperCommand(name=name, help=line)


def _load(name: str, reference: str, line: str) -> Any:
    module, _, attribute = reference.partition(":")
    found = getattr(importlib.import_module(f"{ROOT}.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name=name, help=found.__doc__ or line)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command
