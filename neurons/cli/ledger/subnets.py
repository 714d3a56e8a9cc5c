"""``ranvier subnets``: list, found, change, end, and what a place on one costs and brings."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

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
)
from ranvier.neurons.cli.ledger.session import ask, ask_local, coldkey, hotkey_address, send, wallet
from ranvier.neurons.cli.tables import show

if TYPE_CHECKING:
    from ranvier.chain import ChainClient, Event
    from ranvier.chain.explorer import SubnetPoint
    from ranvier.chain.local import LocalChain
    from ranvier.neurons.economics import Economics

MOST_LETTERS: Final = 64
COLUMNS: Final = (
    *("netuid", "price", "income", "to_miners", "recycled", "miners", "mean_miner", "break_even_h", "pruned"),
)
ALPHA_COLUMNS: Final = (
    *("netuid", "price", "income_a", "to_miners_a", "recycled", "miners", "mean_miner_a", "mean_miner_tao"),
    *("alpha_price", "break_even_h", "pruned"),
)
app = typer.Typer(
    invoke_without_command=True, add_completion=False, help="The subnets of a chain, or those installed here."
)


@app.callback()
def listed(
    context: typer.Context,
    network: Network = "local",
    installed: Annotated[
        bool, typer.Option("--installed", help="The plugins installed here instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The subnets of a chain, or those installed here."""
    if context.invoked_subcommand is not None:
        return
    if installed:
        from ranvier.subnets import names

        show(("installed",), [(name,) for name in names()], as_json=as_json)
        return
    list_subnets(network, as_json)


@app.command("list")
def list_subnets(network: Network = "local", as_json: AsJson = False) -> None:
    """All subnets with their share of emission and the price of a place."""
    from ranvier.chain import RAO

    columns = ("netuid", "name", "neurons", "slots", "tempo", "emission_share", "burn_tao", "owner")
    rows = [
        (
            info.netuid,
            info.name,
            info.neurons,
            info.max_neurons,
            info.tempo,
            info.emission_share,
            info.burn / RAO,
            info.owner or "",
        )
        for info in ask(network, lambda chain: chain.subnets())
    ]
    show(columns, rows, as_json=as_json, title=f"subnets of {network}")


@app.command()
def create(
    label: Annotated[str, typer.Argument(metavar="NAME", help="What the subnet is called.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether the cost is fine.")] = False,
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Found a subnet: its cost is locked until the subnet ends; with alpha it becomes the pool's TAO for good."""
    from ranvier.chain import RAO, CreateSubnet

    if not 1 <= len(label) <= MOST_LETTERS:
        raise typer.BadParameter(f"a subnet's name has 1 to {MOST_LETTERS} letters, this one {len(label)}")
    if not yes:
        found = ask_local(network, lambda chain: chain.network())
        what = "become its pool's for good" if found.parameters.alpha else "are locked until it ends"
        if not typer.confirm(f"A subnet costs {found.lock_cost / RAO:.4f} TAO now, which {what}. Go on?"):
            raise typer.Exit(0)
    call, signer = CreateSubnet(hotkey_address(name, hotkey, wallets), label), coldkey(name, wallets)

    def founded(event: Event) -> str:
        data = event.data
        if event.name != "NetworkAdded" or data.get("owner") != signer.ss58_address:
            return ""
        gone = "" if data["replaced"] is None else f", in the place of subnet {data['replaced']}"
        waits = (
            ""
            if data.get("started", True)
            else f"; it earns once `ranvier subnets start {data['netuid']}` starts it"
        )
        return f"subnet {data['netuid']} for {data['lock'] / RAO:.4f} TAO{gone}{waits}"

    send(network, call, signer, as_json=as_json, tell=founded)


@app.command()
def start(
    netuid: Netuid,
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Let a new subnet of the wallet's have emission and its alpha be traded, on chains by the rules of 2026."""
    from ranvier.chain import StartCall

    send(network, StartCall(netuid), coldkey(name, wallets), as_json=as_json)


@app.command("reset-bonds")
def reset_bonds(
    netuid: Netuid,
    hotkey: Hotkey = "default",
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Give up all validators' bonds to a hotkey of the wallet, where the subnet's bonds_reset is on (2026)."""
    from ranvier.chain import ResetBonds

    send(network, ResetBonds(netuid), wallet(name, hotkey, wallets).load_hotkey(), as_json=as_json)


@app.command()
def dissolve(
    netuid: Netuid,
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """End a subnet of the wallet's: what was locked for it returns; with alpha its holders share the pool's TAO."""
    from ranvier.chain import RAO, DissolveSubnet

    def ended(event: Event) -> str:
        if event.name != "NetworkRemoved" or event.data.get("netuid") != netuid:
            return ""
        return f"{event.data['returned'] / RAO:.4f} TAO went back"

    send(network, DissolveSubnet(netuid), coldkey(name, wallets), as_json=as_json, tell=ended)


@app.command()
def hyperparameters(netuid: Netuid, network: Network = "local", as_json: AsJson = False) -> None:
    """The settings of a subnet, what each means, and how far its owner may change it."""
    from ranvier.chain import Hyperparameters
    from ranvier.chain.local import LocalChain
    from ranvier.chain.owner_limits import owner_limits

    async def both(chain: ChainClient) -> tuple[Hyperparameters, str]:
        era = (await chain.info()).era if isinstance(chain, LocalChain) else "y2"
        return await chain.hyperparameters(netuid), era

    found, era = ask(network, both)
    rows = []
    for name, field in Hyperparameters.model_fields.items():
        limits = owner_limits(era).get(name)
        owner = f"{limits[0]} to {limits[1]}" if limits else ""
        rows.append((name, str(getattr(found, name)), owner, field.description or ""))
    show(
        ("name", "value", "owner_may", "meaning"),
        rows,
        as_json=as_json,
        title=f"subnet {netuid} of {network}",
    )


@app.command("set")
def set_hyperparameter(
    netuid: Netuid,
    parameter: Annotated[str, typer.Argument(help="Name of a hyperparameter.")],
    value: Annotated[int, typer.Argument(min=0, max=2**64 - 1, help="Its new value; flags are 0 and 1.")],
    name: WalletName = "default",
    wallets: Wallets = DEFAULT_WALLETS,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """Change a setting of a subnet that the wallet owns."""
    from ranvier.chain import SetHyperparameter

    call = SetHyperparameter(netuid, parameter, value)
    send(network, call, coldkey(name, wallets), as_json=as_json)


@app.command()
def economics(
    netuid: Annotated[
        int | None,
        typer.Argument(min=0, max=MOST_NETUID, help="One subnet, with its price over time; all by default."),
    ] = None,
    network: Network = "local",
    as_json: AsJson = False,
) -> None:
    """What a place costs and brings: price, income of a day, recycled, mean per miner, break-even, risk.

    In TAO; with alpha, columns with _a are of alpha, and mean_miner_tao is the mean at the pool's price of now.
    """
    from ranvier.chain import RAO
    from ranvier.neurons.cli.ledger.curves import curve

    found = ask_local(network, lambda chain: _economics(chain, netuid))
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        **asdict(one),
                        "mean_miner_tao": one.mean_miner_tao,
                        "points": [asdict(p) for p in points],
                    }
                    for one, points in found
                ],
                indent=2,
            )
        )
        return
    alpha = any(one.alpha_price is not None for one, _ in found)
    title = f"economics of {network}, over at most 24 h, in TAO" + (" and alpha (a)" if alpha else "")
    show(ALPHA_COLUMNS if alpha else COLUMNS, [_row(one) for one, _ in found], as_json=False, title=title)
    if netuid is not None:
        _, points = found[0]
        curve("price", [(point.block, point.burn / RAO) for point in points], unit="TAO")
        curve("share of emission", [(point.block, point.share) for point in points])
        prices = [(point.block, point.alpha_price) for point in points if point.alpha_price is not None]
        curve("price of alpha", prices, unit="TAO")


def _row(one: Economics) -> tuple[Any, ...]:
    from ranvier.chain import RAO

    amounts = (one.price, one.income, one.miners_income, one.recycled)
    even = f"{one.break_even_hours:.2f}" if one.break_even_hours is not None else "never"
    means: tuple[float, ...] = (one.mean_miner / RAO,)
    if one.alpha_price is not None:
        means = (*means, one.mean_miner_tao / RAO, one.alpha_price)
    rest = (*means, even, f"{one.pruning_chance:.0%}")
    return (one.netuid, *(amount / RAO for amount in amounts), one.miners, *rest)


async def _economics(
    chain: LocalChain, netuid: int | None
) -> list[tuple[Economics, tuple[SubnetPoint, ...]]]:
    from ranvier.chain import NotFound
    from ranvier.neurons.economics import DAY, economics

    infos = [info for info in await chain.subnets() if netuid in (None, info.netuid)]
    if netuid is not None and not infos:
        raise NotFound(f"there is no subnet {netuid}; `ranvier subnets` lists those there are")
    block_time, found = await chain.block_time(), []
    for info in infos:
        graph, detail = await chain.metagraph(info.netuid), await chain.subnet_detail(info.netuid)
        since = max(graph.block - round(DAY / block_time), 0)
        points = await chain.subnet_history(info.netuid, 0)
        one = economics(
            info,
            graph,
            await chain.epochs(info.netuid, since),
            points,
            block_time=block_time,
            immunity=(await chain.hyperparameters(info.netuid)).immunity_period,
            difficulty=detail.difficulty if detail.work_allowed else 0,
            alpha_price=detail.market.price if detail.market is not None else None,
        )
        found.append((one, points))
    return found
