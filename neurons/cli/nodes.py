"""``ranvier miner`` and ``ranvier validator``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ranvier.neurons.cli.running import run_until_signal

Config = Annotated[Path | None, typer.Option(help="TOML file; flags and RANVIER_... variables override it.")]
SubnetName = Annotated[str | None, typer.Option(help="Installed subnet, or package.module:Class.")]
Netuid = Annotated[int | None, typer.Option(help="The subnet's number on the chain.")]
Network = Annotated[
    str | None, typer.Option(help="local, test, finney, a profile of the file, or an address.")
]
WalletName = Annotated[str | None, typer.Option(help="Wallet's name.")]
Hotkey = Annotated[str | None, typer.Option(help="Hotkey's name in the wallet.")]
Wallets = Annotated[str | None, typer.Option(help="Folder of all wallets.")]
Engine = Annotated[str | None, typer.Option(help="unix:/path or http://host:port.")]
State = Annotated[str | None, typer.Option(help="Folder of the state.")]
Register = Annotated[
    bool | None, typer.Option("--register", help="Register the hotkey if it is not; the coldkey pays.")
]
Metrics = Annotated[int | None, typer.Option(help="Port of /metrics and /health on loopback; 0 is off.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the subnet: key=value; repeatable.")
]
Show = Annotated[
    bool, typer.Option("--show-config", help="Print the effective configuration as TOML and end.")
]
Level = Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")]


def miner(
    config: Config = None,
    subnet: SubnetName = None,
    netuid: Netuid = None,
    network: Network = None,
    wallet: WalletName = None,
    hotkey: Hotkey = None,
    wallets: Wallets = None,
    engine: Engine = None,
    state: State = None,
    register: Register = None,
    metrics_port: Metrics = None,
    settings: Set = None,
    log_level: Level = None,
    show_config: Show = False,
    miner: Annotated[str | None, typer.Option(help="Your mining code: package.module:Class.")] = None,
    model: Annotated[str | None, typer.Option(help="Which of the engine's models.")] = None,
    host: Annotated[str | None, typer.Option(help="Interface to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    advertise: Annotated[str | None, typer.Option(help="IP address published on the chain.")] = None,
) -> None:
    """Answer a subnet's requests and earn."""
    from ranvier.neurons.config import MinerSettings
    from ranvier.neurons.launch import run_miners

    flags = flags_of(locals())
    nodes = _load(MinerSettings, config, flags, show=show_config)
    if nodes:
        run_until_signal(lambda stop: run_miners(nodes, stop))


def validator(
    config: Config = None,
    subnet: SubnetName = None,
    netuid: Netuid = None,
    network: Network = None,
    wallet: WalletName = None,
    hotkey: Hotkey = None,
    wallets: Wallets = None,
    engine: Engine = None,
    state: State = None,
    register: Register = None,
    metrics_port: Metrics = None,
    settings: Set = None,
    log_level: Level = None,
    show_config: Show = False,
    round_blocks: Annotated[int | None, typer.Option(help="Blocks between two rounds.")] = None,
    events: Annotated[str | None, typer.Option(help="File to append every round to, as JSON lines.")] = None,
    takeover: Annotated[
        bool | None,
        typer.Option("--takeover", help="Accept weights that another tool or machine set with this hotkey."),
    ] = None,
    observe_blocks: Annotated[
        int | None, typer.Option(help="Blocks to watch for another validator before the first weights.")
    ] = None,
) -> None:
    """Ask, verify, score and set weights."""
    from ranvier.neurons.config import ValidatorSettings
    from ranvier.neurons.launch import run_validators

    flags = flags_of(locals())
    nodes = _load(ValidatorSettings, config, flags, show=show_config)
    if nodes:
        run_until_signal(lambda stop: run_validators(nodes, stop))


def flags_of(given: dict[str, Any]) -> dict[str, Any]:
    """What was said on the command line, under the names of the configuration."""
    from ranvier.neurons.config.load import split_settings

    known = {
        "config",
        "settings",
        "show_config",
        "metrics_port",
        "log_level",
        "MinerSettings",
        "ValidatorSettings",
    }
    flags = {key: value for key, value in given.items() if key not in known and not callable(value)}
    if given["metrics_port"] is not None:
        flags["metrics"] = {"port": given["metrics_port"]}
    if given["log_level"] is not None:
        flags["log"] = {"level": given["log_level"]}
    if given["settings"]:
        flags["settings"] = split_settings(given["settings"])
    return flags


def _load(model: Any, config: Path | None, flags: dict[str, Any], *, show: bool) -> Any:
    """The nodes to run; none where they were only to be shown."""
    from ranvier.neurons.config import load_nodes
    from ranvier.neurons.config.sample import render
    from ranvier.neurons.logs import configure

    nodes = load_nodes(model, config, flags)
    if show:
        from ranvier.neurons.context import subnet_settings
        from ranvier.subnets import load_subnet

        for node in nodes:
            own = subnet_settings(load_subnet(node.subnet), node.settings)
            typer.echo(render(node, own), nl=False)
        return ()
    configure(nodes[0].log)
    return nodes
