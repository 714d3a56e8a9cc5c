"""defaults < TOML < environment < flags, and files that are complete and say what the code does."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ranvier.chain import UnknownNetwork
from ranvier.neurons.config import (
    ChainSettings,
    EngineSettings,
    MinerSettings,
    ValidatorSettings,
    load_nodes,
    load_one,
    resolve,
)
from ranvier.neurons.config.load import split_settings
from ranvier.neurons.config.sample import render
from ranvier.neurons.errors import ConfigError
from ranvier.subnets import load_subnet

CONFIGS = Path(__file__).parents[2] / "configs"
ROLES = {
    "miner": MinerSettings,
    "validator": ValidatorSettings,
    "engine": EngineSettings,
    "chain": ChainSettings,
}
CHOSEN = {"subnet", "netuid", "engine", "models"}
"""Keys of the files that differ from the defaults on purpose."""


def test_each_layer_wins_over_the_one_below(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(
        'subnet = "text"\nnetuid = 1\nport = 1\nhost = "0.0.0.0"\nwallet = "file"\n[log]\nlevel = "debug"\n'
    )
    environment = {
        "RANVIER_PORT": "2",
        "RANVIER_WALLET": "7",
        "RANVIER_LOG__FORMAT": "json",
        "RANVIER_HOME": "/x",
    }
    (node,) = load_nodes(MinerSettings, file, {"port": 3, "engine": None}, environment)
    assert (node.port, node.host, node.wallet, node.hotkey) == (3, "0.0.0.0", "7", "default")
    assert (node.log.level, node.log.format) == ("debug", "json")


def test_one_file_runs_several_pairs_and_none_twice(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    text = 'subnet = "text"\n[[nodes]]\nnetuid = 1\nhotkey = "a"\n[[nodes]]\nnetuid = 2\nhotkey = "b"\n'
    file.write_text(text)
    nodes = load_nodes(ValidatorSettings, file, {}, {})
    assert [(node.netuid, node.hotkey) for node in nodes] == [(1, "a"), (2, "b")]
    with pytest.raises(ConfigError, match="same netuid and hotkey"):
        load_nodes(ValidatorSettings, file, {"netuid": 1, "hotkey": "a"}, {})
    file.write_text(text.replace("hotkey", "hotkee"))
    with pytest.raises(ConfigError, match="Did you mean 'hotkey'"):
        load_nodes(ValidatorSettings, file, {}, {})


@pytest.mark.parametrize(
    ("variable", "hint"),
    [("RANVIER_NETUD", "netuid"), ("RANVIER_LOG__LEVL", "log.level"), ("RANVIER_DOOR__DENI", "deny")],
)
def test_an_unknown_variable_is_an_error(variable: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        load_nodes(MinerSettings, None, {"subnet": "text", "netuid": 1}, {variable: "1"})


def test_lists_and_tables_come_from_the_environment_too() -> None:
    environment = {
        "RANVIER_DOOR__ALLOW": "a, b",
        "RANVIER_SETTINGS__DEADLINE": "2.5",
        "RANVIER_SUBNET": "text",
    }
    (node,) = load_nodes(MinerSettings, None, {"netuid": 1}, environment)
    assert node.door.allow == ("a", "b")
    assert node.settings == {"deadline": 2.5}
    assert load_one(EngineSettings, None, {}, {"RANVIER_MODELS": "text=a,image=b"}).models == (
        "text=a",
        "image=b",
    )


def test_an_axon_that_requires_seals_cannot_speak_the_old_wire() -> None:
    flags = {"subnet": "text", "netuid": 1, "legacy": True, "seal_required": True}
    with pytest.raises(ConfigError, match="exclude each other") as caught:
        load_nodes(MinerSettings, None, flags, {})
    assert "{" not in str(caught.value)


def test_settings_on_the_command_line_are_typed() -> None:
    assert split_settings(["a=1", "b.c=true", "d=text"]) == {"a": 1, "b": {"c": True}, "d": "text"}
    with pytest.raises(ConfigError, match="key=value"):
        split_settings(["a"])


def test_networks_are_profiles_or_addresses() -> None:
    assert resolve("local").endpoint == "http://127.0.0.1:9944"
    assert resolve("lab", {"lab": "http://10.0.0.1:1"}).on_this_machine
    assert not resolve("https://chain.example").on_this_machine


def test_a_subtensor_node_on_this_machine_may_serve_a_public_network() -> None:
    """Its neurons name addresses that must not lead into this machine's network."""
    for endpoint in ("finney", "test", "ws://127.0.0.1:9944", "ws://192.168.1.5:9944", "wss://localhost:1"):
        network = resolve(endpoint)
        assert network.endpoint == endpoint
        assert not network.on_this_machine, endpoint
    assert resolve("own", {"own": "ws://[::1]:9944"}).endpoint == "ws://[::1]:9944"
    for wrong in ("ws://", "fin", "ftp://x"):
        with pytest.raises(UnknownNetwork, match="known: archive"):
            resolve(wrong)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_a_config_file_is_complete_and_equal_to_the_defaults(path: Path) -> None:
    role, _, subnet = path.stem.partition("-")
    model: Any = ROLES[role]
    table = tomllib.loads(path.read_text())
    load = load_nodes if subnet else load_one
    load(model, path, {}, {})  # every key is known and every value possible
    given = {key: table[key] for key in CHOSEN & table.keys()}
    own = load_subnet(subnet).Settings() if subnet else None
    shown = render(model.model_validate(given), own)
    assert tomllib.loads(shown) == table
    if own is not None:
        assert table["settings"] == _set(own)
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert all(len(line) > 3 for line in comments)


def _set(model: BaseModel) -> dict[str, Any]:
    return {key: value for key, value in model.model_dump(mode="json").items() if value is not None}


def test_there_is_a_file_for_each_role_and_subnet() -> None:
    subnets = [path.parent.name for path in (CONFIGS.parent / "subnets").glob("*/subnet.py")]
    wanted = {f"{role}-{subnet}" for role in ("miner", "validator") for subnet in subnets}
    present = {path.stem for path in CONFIGS.glob("*.toml")}
    assert present == wanted | {"engine", "chain"}, (
        "make it with `ranvier ROLE --subnet NAME --netuid N --show-config`"
    )
