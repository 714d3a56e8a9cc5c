"""Every bad input of an operator, as a real process: one message with the next step, its exit code, no traceback."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ranvier.neurons.exits import CODES, ExitCode

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bare(tmp_path: Path) -> Any:
    """A world without a chain: for what fails before the chain is asked."""
    from neurons_world import World

    from ranvier.chain import Wallet

    world = World(tmp_path, "http://127.0.0.1:9", None)  # type: ignore[arg-type]
    Wallet.create_plain("owner", "v0", world.wallets)
    return world


def check(done: Any, code: ExitCode, *parts: str) -> None:
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("ranvier: ")]) == 1


def test_before_the_chain_is_asked(bare: Any) -> None:
    run, common = bare.run, bare.common
    check(
        run("miner", *common("v0", "sentimnt")),
        ExitCode.UNKNOWN_SUBNET,
        "sentimnt",
        "Did you mean 'sentiment'?",
    )
    check(run("miner", *common("v0")), ExitCode.CHAIN_UNREACHABLE, "127.0.0.1:9", "ranvier chain")
    check(
        run("validator", *common("nobody")), ExitCode.WALLET, "nobody does not exist", "ranvier wallet create"
    )
    check(run("miner", "--subnet", "sums:SumSubnet"), ExitCode.CONFIG, "netuid is not set", "--netuid")
    check(
        run("metagraph", "1", "--network", "ws://127.0.0.1:9"),
        ExitCode.CHAIN_UNREACHABLE,
        "ws://127.0.0.1:9 cannot be reached",
        "name another node",
    )
    check(
        run("metagraph", "1", "--network", "fineny"),
        ExitCode.UNKNOWN_NETWORK,
        "known: archive, devnet, finney, local, test",
    )
    check(
        run("miner", *common("v0"), RANVIER_NETWROK="x"),
        ExitCode.CONFIG,
        "NETWROK",
        "Did you mean 'network'?",
    )
    check(run("miner", *common("v0"), "--set", "dedline=3"), ExitCode.CONFIG, "Did you mean 'deadline'?")


def test_a_config_file_with_an_unknown_key(bare: Any, tmp_path: Path) -> None:
    file = tmp_path / "miner.toml"
    file.write_text('subnet = "sums:SumSubnet"\nnetuid = 1\nwalet = "x"\n')
    check(bare.run("miner", "--config", str(file)), ExitCode.CONFIG, str(file), "Did you mean 'wallet'?")
    file.write_text('subnet = "sums:SumSubnet"\nnetuid = 1\n[door]\nminimum_steak = 1\n')
    check(bare.run("miner", "--config", str(file)), ExitCode.CONFIG, "Did you mean 'door.minimum_stake'?")
    file.write_text("netuid = \n")
    check(bare.run("miner", "--config", str(file)), ExitCode.CONFIG, "is no TOML")


def test_usage_errors(bare: Any) -> None:
    assert bare.run("minr").returncode == ExitCode.USAGE
    assert bare.run("miner", "--netuid", "one").returncode == ExitCode.USAGE


def test_what_the_chain_and_the_machine_refuse(new_world: Callable[..., Any]) -> None:
    world = new_world()
    check(
        world.run("miner", *world.common("stranger")), ExitCode.NOT_REGISTERED, "not registered", "--register"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        check(
            world.run("miner", *world.common("m0"), "--port", port),
            ExitCode.PORT_OCCUPIED,
            port,
            "choose another",
        )
        genesis = ("--genesis", str(world.folder / "genesis.json"))
        chain = world.run("chain", "--state", str(world.folder / "second"), *genesis, "--port", port)
        check(chain, ExitCode.PORT_OCCUPIED, port, "choose another port")
    state = world.folder / "nodes" / f"validator-1-{world.key('v0').ss58_address}.sqlite"
    state.parent.mkdir(exist_ok=True)
    state.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    check(
        world.run("validator", *world.common("v0")),
        ExitCode.CORRUPT_STATE,
        str(state),
        "Restore it from a copy",
    )
    needs = world.run("miner", *world.common("m0", "sentiment"))
    check(needs, ExitCode.ENGINE_UNFIT, "--engine", "ranvier engine")
    gone = world.run("miner", *world.common("m0", "sentiment"), "--engine", "unix:/nowhere/engine.sock")
    check(gone, ExitCode.ENGINE_UNREACHABLE, "/nowhere/engine.sock", "ranvier engine")


def test_registering_on_request_uses_the_coldkey_without_a_prompt(new_world: Callable[..., Any]) -> None:
    world = new_world()
    process = world.start("miner", *world.common("stranger"), "--register", log="miner.log")
    end = time.monotonic() + 30
    while "serving subnet 1" not in (world.folder / "miner.log").read_text():
        assert time.monotonic() < end, (world.folder / "miner.log").read_text()
        time.sleep(0.1)
    process.terminate()
    assert process.wait(15) == 0
    assert '"netuid": 1' in world.run("subnets", "--network", world.endpoint, "--json").stdout
    assert (
        world.key("stranger").ss58_address
        in world.run("metagraph", "1", "--network", world.endpoint, "--json").stdout
    )


def test_a_wrong_model_path(bare: Any) -> None:
    pytest.importorskip("torch")
    done = bare.run("engine", "--model", "text=/no/such/model", timeout=110)
    check(done, ExitCode.MODEL_MISSING, "/no/such/model", "ranvier models prepare")


def test_a_missing_extra(bare: Any, tmp_path: Path) -> None:
    """A package of the extra that cannot be found, as on a base install."""
    (tmp_path / "block.py").write_text(
        "import sys, importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('torch', 'transformers') else find(name, *a)\n"
        "from ranvier.neurons.cli import main\nmain(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "block.py"), "engine", "--model", "text=smollm2"],
        capture_output=True, text=True, timeout=60, env=bare.environment(),
    )  # fmt: skip
    check(done, ExitCode.MISSING_EXTRA, "pip install 'ranvier[models]'")


def test_every_error_class_that_is_mapped_exists() -> None:
    import ranvier.chain.errors
    import ranvier.engines.errors
    import ranvier.neurons.errors
    import ranvier.neurons.localnet.errors
    import ranvier.protocol.errors
    import ranvier.subnets.errors

    places = [
        getattr(ranvier, name).errors for name in ("chain", "engines", "neurons", "protocol", "subnets")
    ]
    places.append(ranvier.neurons.localnet.errors)
    assert [name for name in CODES if not any(hasattr(place, name) for place in places)] == []


def test_the_page_of_exit_codes_has_them_all() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    listed = {(int(code), name) for code, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.MULTILINE)}
    assert listed == {(code.value, code.name) for code in ExitCode}
