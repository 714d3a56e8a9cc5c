"""The doctor finds each fault by name, says what to do, and calls a sound node sound."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ranvier.neurons.doctor.examine import CHECKS, SOURCES

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def examined(
    world: Any, role: str, hotkey: str, *more: str, rc: int = 0, **environment: str
) -> dict[str, Any]:
    """Findings by check; the exit code is checked."""
    done = world.run("doctor", role, *world.common(hotkey), *more, "--json", **environment)
    assert done.returncode == rc, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["ok"] == (rc == 0)
    assert said["role"] == role
    for one in said["findings"]:
        assert set(one) == {"check", "status", "finding", "next_step", "node"}
        assert one["next_step"] or one["status"] in ("ok", "skipped"), one
    return {one["check"]: one for one in said["findings"]}


def failed(found: dict[str, Any]) -> set[str]:
    return {name for name, one in found.items() if one["status"] == "fail"}


def test_a_sound_validator_and_miner(world: Any) -> None:
    found = examined(world, "validator", "v0")
    assert {one["status"] for one in found.values()} == {"ok"}
    assert {"permit", "call SetWeights", "block arrival", "state"} <= found.keys()
    assert found["permit"]["node"] == "1 v0"
    found = examined(world, "miner", "m0", "--port", str(free_port()))
    assert {name for name, one in found.items() if one["status"] != "ok"} == {"published address"}
    assert "would be reached" in found["reachable"]["finding"]
    assert "call Serve" in found


def test_a_subnet_with_promised_weights_needs_other_calls(new_world: Any) -> None:
    found = examined(new_world(commit_reveal=True), "validator", "v0")
    assert found["call CommitTimelocked"]["finding"] == "not here; fall-back: CommitWeights and RevealWeights"


def test_the_table_has_every_check_and_the_page_too(world: Any) -> None:
    done = world.run("doctor", "validator", *world.common("v0"), COLUMNS="160")
    assert done.returncode == 0
    assert "everything that was looked at is well" in done.stdout
    listed = set(re.findall(r"^\| ([a-z ]+?) (?:NAME )?\| ", PAGE, re.MULTILINE))
    for check in CHECKS:
        assert (check.name if check.name != "calls" else "call") in listed
    for check in ("python", "packages", "extras", "shadowed imports", "open files", "configuration"):
        assert check in listed
        assert check in done.stdout
    assert set(SOURCES.values()) <= {check.name for check in CHECKS}


def test_the_machine_alone(world: Any) -> None:
    done = world.run("doctor")
    assert done.returncode == 0, done.stdout
    assert "shadowed imports" in done.stdout
    assert world.run("doctor", "gardener").returncode == 2


def test_keys_that_others_may_read(world: Any) -> None:
    world.wallet("v0").hotkey_file.chmod(0o644)
    found = examined(world, "validator", "v0", rc=1)
    assert failed(found) == {"hotkey"}
    assert "0644" in found["hotkey"]["finding"]
    assert found["hotkey"]["next_step"].startswith("`chmod 600 ")


def test_a_missing_key_skips_what_needs_it_and_nothing_else(world: Any) -> None:
    found = examined(world, "validator", "nobody", rc=1)
    assert failed(found) == {"hotkey"}
    assert found["registration"]["finding"] == "because of hotkey"
    assert found["permit"]["finding"] == "because of registration"
    assert found["block arrival"]["status"] == "ok"


def test_a_chain_that_is_gone_and_one_that_says_nothing(world: Any, mute: int) -> None:
    found = examined(world, "validator", "v0", "--network", f"http://127.0.0.1:{free_port()}", rc=1)
    assert failed(found) == {"network"}
    assert found["clock"]["finding"] == "because of network"
    found = examined(world, "validator", "v0", "--network", f"http://127.0.0.1:{mute}", rc=1)
    assert failed(found) == {"network"}
    assert found["disk"]["status"] == "ok"


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        thread = threading.Thread(target=_accept, args=(server, held), daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for one in held:
            one.close()


def _accept(server: socket.socket, held: list[socket.socket]) -> None:
    try:
        while True:
            held.append(server.accept()[0])
    except OSError:
        return


def test_a_stranger_has_no_uid(world: Any) -> None:
    found = examined(world, "miner", "stranger", rc=1)
    assert failed(found) == {"registration"}
    assert "--register" in found["registration"]["next_step"]


def test_a_permit_that_was_lost(new_world: Any) -> None:
    """Of equal newcomers the first epoch leaves two permits, to the most stake."""
    world = new_world(max_allowed_validators=2)

    async def epoch_ran() -> None:
        async with world.chain() as chain:
            async for _ in chain.blocks():
                if (await chain.metagraph(1)).last_step:
                    return

    asyncio.run(epoch_ran())
    found = examined(world, "validator", "m0", rc=1)
    assert failed(found) == {"permit"}
    assert "add stake" in found["permit"]["next_step"]


def test_an_unknown_subnet_number(world: Any) -> None:
    found = examined(world, "validator", "v0", "--netuid", "7", rc=1)
    assert failed(found) == {"subnet on chain"}
    assert found["registration"]["status"] == "skipped"


def test_a_plugin_that_does_not_load(world: Any) -> None:
    done = world.run("doctor", "validator", *world.common("v0", "nowhere:Nothing"), "--json")
    found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    assert (done.returncode, failed(found)) == (1, {"plugin"})


def test_an_unknown_key(world: Any, tmp_path: Path) -> None:
    file = tmp_path / "v.toml"
    file.write_text('subnet = "sums:SumSubnet"\nnetuid = 1\nhotky = "x"\n')
    done = world.run("doctor", "validator", "--config", str(file), "--json")
    found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    assert (done.returncode, failed(found)) == (1, {"configuration"})
    assert "Did you mean 'hotkey'?" in found["configuration"]["finding"]


def test_a_port_that_another_program_has(world: Any, mute: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        thread = threading.Thread(target=_greet, args=(other,), daemon=True)
        thread.start()
        found = examined(world, "miner", "m0", "--port", str(port), rc=1)
    assert failed(found) == {"reachable"}
    assert "another program" in found["reachable"]["finding"]


def _greet(server: socket.socket) -> None:
    try:
        while True:
            peer = server.accept()[0]
            peer.sendall(b"220 mail ready\r\n")
            peer.close()
    except OSError:
        return


def test_an_address_that_cannot_be_called(world: Any) -> None:
    found = examined(world, "miner", "m0", "--host", "0.0.0.0", "--port", "9000", rc=1)
    assert failed(found) == {"reachable"}
    assert "advertise" in found["reachable"]["next_step"]


def test_an_engine_that_is_missing(world: Any) -> None:
    done = world.run("doctor", "miner", *world.common("m0", "text"), "--json")
    found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    assert (done.returncode, failed(found)) == (1, {"engine"})
    more = ("--engine", f"http://127.0.0.1:{free_port()}")
    done = world.run("doctor", "miner", *world.common("m0", "text"), *more, "--json")
    found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    assert failed(found) == {"engine"}


def test_a_damaged_state_and_one_of_a_later_release(world: Any) -> None:
    folder = world.folder / "nodes"
    folder.mkdir()
    path = folder / f"validator-1-{world.key('v0').ss58_address}.sqlite"
    path.write_bytes(b"not a data base at all" * 100)
    found = examined(world, "validator", "v0", rc=1)
    assert failed(found) == {"state"}
    path.unlink()
    (folder / f"miner-1-{world.key('m0').ss58_address}.nonce").write_text("12x")
    found = examined(world, "miner", "m0", rc=1)
    assert failed(found) == {"state"}
    with sqlite3.connect(path) as connection:
        connection.executescript((Path(__file__).parent / "data" / "state-v1.sql").read_text())
    connection.close()
    found = examined(world, "validator", "v0", rc=1)
    assert "belongs to local 1 me" in found["state"]["finding"]


def test_beside_a_running_validator_and_miner(world: Any) -> None:
    port = free_port()
    processes = [
        world.start("validator", *world.common("v0"), log="v.log"),
        world.start("miner", *world.common("m0"), "--port", str(port), log="m.log"),
    ]
    try:
        _wait(world.folder / "m.log", "serving subnet 1")
        _wait(world.folder / "v.log", "round ")
        found = examined(world, "validator", "v0")
        assert re.search(r"[1-9]\d* rounds, version", found["state"]["finding"])
        found = examined(world, "miner", "m0", "--port", str(port))
        assert "an axon answers" in found["reachable"]["finding"]
        assert found["published address"]["finding"] == f"127.0.0.1:{port}"
    finally:
        for process in processes:
            process.terminate()
            process.wait(20)


def _wait(log: Path, text: str) -> None:
    import time

    for _ in range(400):
        if log.exists() and text in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_a_file_that_shadows_a_package(world: Any, tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('not me')\n")
    done = world.run("doctor", "--json", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stderr
    found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    assert failed(found) == {"shadowed imports"}
    assert str(tmp_path / "prometheus_client.py") in found["shadowed imports"]["finding"]


def test_strict_fails_on_warnings(world: Any) -> None:
    done = world.run("doctor", "miner", *world.common("m0"), "--strict")
    assert done.returncode == 1
    assert "need you" in done.stdout
