"""The doctor calls a sound node sound, whatever its role, and says so in a table and in JSON."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doctoring import examined, free_port, names
from neurons_world import World, make_world

from ranvier.neurons.doctor.examine import AFTER, MACHINE, NODE, SOURCES

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = make_world(tmp_path_factory.mktemp("good"))
    yield world
    world.stop()


def test_a_sound_validator(good: World) -> None:
    found = examined(good, "validator", *good.common("v0"), "--strict")
    assert names(found, "ok") == set(found)
    assert {"permit", "call SetWeights", "block arrival", "clock", "state", "engine"} <= found.keys()
    assert found["permit"]["node"] == "1 v0"
    assert not (good.folder / "nodes").exists(), "nothing was made"


def test_a_sound_miner(good: World) -> None:
    found = examined(good, "miner", *good.common("m0"), "--port", str(free_port()), "--strict")
    assert names(found, "ok") == set(found)
    assert "a listener there is reached" in found["reachable"]["finding"]
    assert found["plugin"]["finding"].endswith("mined by sums.Adder")
    assert "call Serve" in found


def test_a_subnet_with_promised_weights_needs_other_calls(new_world: Any) -> None:
    world = new_world(commit_reveal=True)
    found = examined(world, "validator", *world.common("v0"))
    assert found["call CommitTimelocked"]["finding"] == "not here; fall-back: CommitWeights and RevealWeights"


def test_every_check_is_in_the_table_and_on_the_page(good: World) -> None:
    done = good.run("doctor", "validator", *good.common("v0"), COLUMNS="160")
    assert done.returncode == 0
    assert re.search(r"^\d+ ok\.$", done.stdout, re.MULTILINE)
    assert max(map(len, done.stdout.splitlines())) <= 160
    listed = set(re.findall(r"^\| ([a-z ]+?) (?:NAME )?\| ", PAGE, re.MULTILINE)) - {"check"}
    checks = {check.name if check.name != "calls" else "call" for check in (*MACHINE, *NODE)}
    assert checks | {"configuration"} == listed
    for check in (*MACHINE, *NODE):
        assert check.name.removesuffix("s") in done.stdout or check.role == "miner"


def test_sources_are_checks_that_come_before() -> None:
    place = {check.name: number for number, check in enumerate(NODE)}
    for number, check in enumerate(NODE):
        for source in (*(SOURCES[fact] for fact in check.needs), *AFTER.get(check.name, ())):
            assert place[source] != number


def test_the_machine_alone_needs_no_chain(good: World) -> None:
    found = examined(good)
    assert {check.name for check in MACHINE} == set(found)
    assert good.run("doctor", "gardener").returncode == 2
    assert good.run("doctor", "--json", "miner").returncode == 2


@pytest.mark.parametrize("role", ["miner", "validator"])
def test_what_starts_a_node_examines_it(good: World, role: str) -> None:
    """Every option of the role is one of the doctor, or scripts could not put one word before the other."""
    options = [
        set(re.findall(r"--[a-z][a-z-]+", good.run(*command, "--help", COLUMNS="200").stdout))
        for command in ((role,), ("doctor", role))
    ]
    assert options[0] - {"--show-config"} <= options[1]
    assert {"--json", "--strict"} <= options[1]


def test_several_nodes_of_one_file(good: World) -> None:
    file = good.folder / "both.toml"
    file.write_text(
        f'subnet = "sums:SumSubnet"\nnetuid = 1\nnetwork = "{good.endpoint}"\nwallet = "owner"\n'
        f'wallets = "{good.wallets}"\nstate = "{good.folder / "both"}"\n'
        '[[nodes]]\nhotkey = "v0"\n[[nodes]]\nhotkey = "nobody"\n'
    )
    done = good.run("doctor", "validator", "--config", str(file), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["findings"]
    assert {one["node"] for one in found} == {"", "1 v0", "1 nobody"}
    assert [one["node"] for one in found if one["status"] == "fail"] == ["1 nobody"]
    table = good.run("doctor", "validator", "--config", str(file), COLUMNS="160").stdout
    assert "First: hotkey." in table
    assert "-> correct --wallet" in table
    assert "1 nobody" in table


def test_beside_a_running_validator_and_miner(new_world: Any) -> None:
    world = new_world()
    port = free_port()
    processes = [
        world.start("validator", *world.common("v0"), log="v.log"),
        world.start("miner", *world.common("m0"), "--port", str(port), log="m.log"),
    ]
    try:
        _wait(world.folder / "m.log", "serving subnet 1")
        _wait(world.folder / "v.log", "round ")
        found = examined(world, "validator", *world.common("v0"), "--strict")
        assert re.search(r"[1-9]\d* rounds, version", found["state"]["finding"])
        found = examined(world, "miner", *world.common("m0"), "--port", str(port), "--strict")
        assert found["reachable"]["finding"] == f"127.0.0.1:{port}: the miner answers"
        assert found["published address"]["finding"] == f"127.0.0.1:{port}"
        found = examined(world, "miner", *world.common("m1"), "--port", str(port), rc=1)
        assert names(found, "fail") == {"reachable"}
        assert "the axon of another hotkey" in found["reachable"]["finding"]
        assert all(process.poll() is None for process in processes)
    finally:
        for process in processes:
            process.terminate()
            process.wait(20)
    before = sorted((world.folder / "nodes").iterdir())
    found = examined(world, "validator", *world.common("v0"))
    assert "rounds, version" in found["state"]["finding"]
    assert sorted((world.folder / "nodes").iterdir()) == before, "reading leaves nothing behind"


def _wait(log: Path, text: str) -> None:
    for _ in range(400):
        if log.exists() and text in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
