"""One fault at a time, over real processes: the doctor names exactly the check that it belongs to, and a next step."""

from __future__ import annotations

import asyncio
import functools
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import neurons_world
import pytest
from doctoring import engine_of, examined, free_port, names, server
from neurons_world import PLUGINS, World, make_world

from ranvier.chain import local_genesis
from ranvier.engines import SEEDED_NOISE, ModelInfo
from ranvier.engines.image.calibration import load_calibration
from ranvier.neurons.exits import ExitCode


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all faults that leave no trace."""
    world = make_world(tmp_path_factory.mktemp("shared"))
    yield world
    world.stop()


def faulty(
    world: World, role: str, hotkey: str, *more: str, fault: str, subnet: str = "sums:SumSubnet"
) -> Any:
    """The finding of the one check that fails, after looking that no other does."""
    found = examined(world, role, *world.common(hotkey, subnet), *more, rc=1)
    assert names(found, "fail") == {fault}
    skipped = {
        one["finding"].removeprefix("because of ") for one in found.values() if one["status"] == "skipped"
    }
    assert skipped <= {fault} | names(found, "skipped") | {
        "port 0 is chosen at the start; name one to have it probed"
    }
    return found[fault]


def test_a_hotkey_that_others_may_read(shared: World) -> None:
    path = shared.wallet("v0").hotkey_file
    path.chmod(0o644)
    try:
        one = faulty(shared, "validator", "v0", fault="hotkey")
    finally:
        path.chmod(0o600)
    assert "0644" in one["finding"]
    assert one["next_step"] == f"`chmod 600 {path}`"


@pytest.mark.slow
def test_a_wallet_in_which_others_may_write(shared: World) -> None:
    folder = shared.wallet("v0").hotkey_file.parent
    before = folder.stat().st_mode
    folder.chmod(0o777)
    try:
        assert faulty(shared, "validator", "v0", fault="hotkey")["next_step"] == f"`chmod go-w {folder}`"
    finally:
        folder.chmod(before)


@pytest.mark.slow
def test_a_coldkey_that_others_may_read(shared: World) -> None:
    path = shared.wallet("v0").coldkey_file
    path.chmod(0o640)
    try:
        assert "0640" in faulty(shared, "validator", "v0", fault="coldkey")["finding"]
    finally:
        path.chmod(0o600)


def test_a_missing_key_skips_what_needs_it_and_nothing_else(shared: World) -> None:
    found = examined(shared, "validator", *shared.common("nobody"), rc=1)
    assert names(found, "fail") == {"hotkey"}
    assert found["registration"]["finding"] == "because of hotkey"
    assert found["permit"]["finding"] == "because of registration"
    assert names(found, "skipped") == {"registration", "permit", "state"}


def test_a_chain_that_is_gone(shared: World) -> None:
    one = faulty(shared, "validator", "v0", "--network", f"http://127.0.0.1:{free_port()}", fault="network")
    assert "cannot be reached" in one["finding"]


def test_a_black_holed_chain_holds_up_nothing_else(shared: World) -> None:
    with server() as port:
        more = ("--network", f"http://127.0.0.1:{port}", "--port", str(free_port()))
        found = examined(shared, "miner", *shared.common("m0"), *more, rc=1)
    assert names(found, "fail") == {"network"}
    assert names(found, "ok") >= {"plugin", "hotkey", "coldkey", "reachable", "engine", "disk", "state"}


@pytest.mark.slow
def test_a_chain_that_answers_garbage(shared: World) -> None:
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") as port:
        faulty(shared, "validator", "v0", "--network", f"http://127.0.0.1:{port}", fault="network")


@pytest.mark.slow
def test_a_frozen_chain(new_world: Any) -> None:
    world = new_world()
    world.process.send_signal(signal.SIGSTOP)
    try:
        faulty(world, "validator", "v0", fault="network")
    finally:
        world.process.send_signal(signal.SIGCONT)


def test_a_chain_that_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers, and makes no block: that says nothing about our clock."""
    still = functools.partial(local_genesis, clock="manual")
    monkeypatch.setattr(neurons_world, "local_genesis", still)
    world = make_world(tmp_path)
    try:
        assert "in 3 s" in faulty(world, "validator", "v0", fault="block arrival")["finding"]
        assert examined(world, "validator", *world.common("v0"), rc=1)["clock"]["status"] == "skipped"
    finally:
        world.stop()


@pytest.mark.slow
def test_an_unknown_network(shared: World) -> None:
    assert (
        "[networks]" in faulty(shared, "validator", "v0", "--network", "fynney", fault="network")["next_step"]
    )


@pytest.mark.slow
def test_a_clock_that_is_ahead_and_one_that_is_behind(shared: World, tmp_path: Path) -> None:
    for shift, words in ((8.0, "s ahead"), (-30.0, "s behind")):
        (tmp_path / "sitecustomize.py").write_text(
            f"import time\nreal = time.time\ntime.time = lambda: real() + {shift}\n"
        )
        path = f"{tmp_path}:{PLUGINS}"
        found = examined(shared, "validator", *shared.common("v0"), rc=1, PYTHONPATH=path)
        assert names(found, "fail") == {"clock"}
        assert words in found["clock"]["finding"]


def test_a_stranger_has_no_uid(shared: World) -> None:
    assert "--register" in faulty(shared, "miner", "stranger", fault="registration")["next_step"]
    found = examined(shared, "miner", *shared.common("stranger"), "--register")
    assert "the start buys one" in found["registration"]["next_step"]
    assert found["call Register"]["status"] == "ok"
    file = shared.wallet("v0").coldkey_file
    file.rename(file.with_name("away"))
    try:
        one = faulty(shared, "miner", "stranger", "--register", fault="registration")
    finally:
        file.with_name("away").rename(file)
    assert "the coldkey that would buy one is not here" in one["finding"]


def test_a_permit_that_was_lost(new_world: Any) -> None:
    """Of equal newcomers the first epoch leaves two permits, to the most stake."""
    world = new_world(max_allowed_validators=2)

    async def epoch_ran() -> None:
        async with world.chain() as chain:
            async for _ in chain.blocks():
                if (await chain.metagraph(1)).last_step:
                    return

    asyncio.run(epoch_ran())
    assert "add stake" in faulty(world, "validator", "m0", fault="permit")["next_step"]


@pytest.mark.slow
def test_too_little_stake_for_weights(new_world: Any) -> None:
    world = new_world(weights_min_stake=800 * 10**9)
    assert "weights need 800.000 TAO" in faulty(world, "validator", "v1", fault="permit")["finding"]


def test_an_unknown_subnet_number(shared: World) -> None:
    one = faulty(shared, "validator", "v0", "--netuid", "7", fault="subnet on chain")
    assert "ranvier subnets" in one["next_step"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param("", "no module named 'broken'", marks=pytest.mark.slow),
        pytest.param("def broken(:", "SyntaxError", marks=pytest.mark.slow),
        pytest.param("import absent_package", "absent_package", marks=pytest.mark.slow),
        ("import os; os._exit(3)", "ended the process with 3"),
        pytest.param("Thing = 7", "no subclass", marks=pytest.mark.slow),
        ("print('{}'); raise RuntimeError('out of order')", "out of order"),
    ],
)
def test_a_plugin_that_cannot_be_loaded(shared: World, tmp_path: Path, code: str, words: str) -> None:
    if code:
        (tmp_path / "broken.py").write_text(code + "\n")
    common = shared.common("v0", "broken:Thing")
    found = examined(shared, "validator", *common, rc=1, PYTHONPATH=f"{tmp_path}:{PLUGINS}")
    assert names(found, "fail") == {"plugin"}
    assert words.lower() in found["plugin"]["finding"].lower()
    assert found["engine"]["finding"] == "because of plugin"


@pytest.mark.slow
def test_mining_code_and_settings_that_do_not_fit(shared: World) -> None:
    faulty(shared, "miner", "m0", "--miner", "sums:Nothing", fault="plugin")
    assert "dedline" in faulty(shared, "miner", "m0", "--set", "dedline=3", fault="plugin")["finding"]


def test_an_unknown_key(shared: World, tmp_path: Path) -> None:
    file = tmp_path / "v.toml"
    file.write_text('subnet = "sums:SumSubnet"\nnetuid = 1\nhotky = "x"\n')
    found = examined(shared, "validator", "--config", str(file), rc=1)
    assert names(found, "fail") == {"configuration"}
    assert "Did you mean 'hotkey'?" in found["configuration"]["finding"]
    assert found["plugin"]["finding"] == "because of configuration"


def test_a_port_that_another_program_has(shared: World) -> None:
    with server(b"220 mail ready\r\n") as port:
        one = faulty(shared, "miner", "m0", "--port", str(port), fault="reachable")
    assert "another program" in one["finding"]
    with server() as port:
        one = faulty(shared, "miner", "m0", "--port", str(port), fault="reachable")
    assert "cannot listen" in one["finding"]
    assert "--port" in one["next_step"]


def test_addresses_that_cannot_be_called(shared: World) -> None:
    more = ("--host", "0.0.0.0", "--port", "9000")
    assert "`advertise`" in faulty(shared, "miner", "m0", *more, fault="reachable")["next_step"]
    faulty(shared, "miner", "m0", "--advertise", "miner.example", "--port", "9000", fault="reachable")


def test_an_advertised_port_that_is_forwarded_and_one_that_is_not(shared: World, tmp_path: Path) -> None:
    inside = free_port()
    with forwarder(inside) as outside:
        file = tmp_path / "m.toml"
        file.write_text(f"advertise_port = {outside}\n")
        more = ("--config", str(file), "--port", str(inside))
        found = examined(shared, "miner", *shared.common("m0"), *more)
        assert found["reachable"]["finding"].startswith(f"127.0.0.1:{outside}: free, and a listener")
    one = faulty(shared, "miner", "m0", *more, fault="reachable")
    assert "forward it to this machine" in one["next_step"]


class forwarder:
    """A router's port forwarding, that refuses while nobody listens inside."""

    def __init__(self, inside: int) -> None:
        self._inside = inside

    def __enter__(self) -> int:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                outer = self._listener.accept()[0]
            except OSError:
                return
            try:
                with outer, socket.create_connection(("127.0.0.1", self._inside), 2) as inner:
                    inner.sendall(outer.recv(4096))
                    while said := inner.recv(4096):
                        outer.sendall(said)
            except OSError:
                # A reset, as from a machine on which nobody listens.
                continue


def test_an_engine_that_is_missing_or_unfit(shared: World) -> None:
    text = {"fault": "engine", "subnet": "text"}
    assert "none is named" in faulty(shared, "miner", "m0", **text)["finding"]
    one = faulty(shared, "miner", "m0", "--engine", f"http://127.0.0.1:{free_port()}", **text)
    assert "start it" in one["next_step"]
    with server() as port:
        faulty(shared, "miner", "m0", "--engine", f"http://127.0.0.1:{port}", **text)
    faulty(shared, "miner", "m0", "--engine", "ftp://127.0.0.1", **text)
    found = examined(shared, "miner", *shared.common("m0"), "--engine", "http://127.0.0.1:9")
    assert found["engine"]["next_step"] == "leave it out"


def test_a_validator_of_pictures_needs_every_dtype_that_miners_may_declare(shared: World) -> None:
    """The doctor says so, and the validator does not start; a miner takes what there is."""
    gate = load_calibration()
    fine, coarse = (
        ModelInfo(name, "image", gate.digest, dtype, gate.device, (SEEDED_NOISE,))
        for name, dtype in (("scenes", "float32"), ("scenes@bfloat16", "bfloat16"))
    )
    with engine_of(fine) as endpoint:
        image = ("--engine", endpoint)
        one = faulty(shared, "validator", "v0", *image, fault="engine", subnet="image")
        assert "--model image=scenes@bfloat16" in one["finding"]
        refused = shared.run("validator", *shared.common("v0", "image"), *image)
        assert refused.returncode == ExitCode.ENGINE_UNFIT
        assert "--model image=scenes@bfloat16" in refused.stdout + refused.stderr
        examined(shared, "miner", *shared.common("m0", "image"), *image)
    with engine_of(fine, coarse) as endpoint:
        found = examined(shared, "validator", *shared.common("v0", "image"), "--engine", endpoint)
    assert found["engine"]["finding"].endswith("serves image=scenes")


def test_states_that_are_damaged(shared: World, tmp_path: Path) -> None:
    path = tmp_path / f"validator-1-{shared.key('v0').ss58_address}.sqlite"
    path.write_bytes(b"not a data base at all" * 100)
    one = faulty(shared, "validator", "v0", "--state", str(tmp_path), fault="state")
    assert "move it away" in one["next_step"]
    (tmp_path / f"miner-1-{shared.key('m0').ss58_address}.nonce").write_text("12x")
    faulty(shared, "miner", "m0", "--state", str(tmp_path), fault="state")


OTHER_GENESIS = (
    "UPDATE facts SET value = 'MINE' WHERE key = 'owner'; "
    "INSERT OR REPLACE INTO facts VALUES ('genesis', '0xother')"
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("SELECT 1", "belongs to local 1 me"),
        (OTHER_GENESIS, "genesis 0xother"),
        pytest.param("PRAGMA user_version = 99", "version 99", marks=pytest.mark.slow),
        pytest.param("PRAGMA application_id = 1", "another program", marks=pytest.mark.slow),
        pytest.param("DROP TABLE facts", "no such table", marks=pytest.mark.slow),
    ],
)
def test_states_of_others(shared: World, tmp_path: Path, change: str, words: str) -> None:
    mine = shared.key("v0").ss58_address
    connection = sqlite3.connect(tmp_path / f"validator-1-{mine}.sqlite")
    connection.executescript((Path(__file__).parent / "data" / "state-v1.sql").read_text())
    connection.executescript(change.replace("MINE", f"{shared.endpoint} 1 {mine}"))
    connection.close()
    one = faulty(shared, "validator", "v0", "--state", str(tmp_path), fault="state")
    assert words in one["finding"]


@pytest.mark.slow
def test_a_state_folder_that_is_a_file(shared: World, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert "is no folder" in faulty(shared, "miner", "m0", "--state", str(file), fault="disk")["finding"]


@pytest.mark.parametrize(
    "name",
    [
        "prometheus_client.py",
        pytest.param("turtle.py", marks=pytest.mark.slow),
        pytest.param("torch/__init__.py", marks=pytest.mark.slow),
    ],
)
def test_a_file_that_shadows_a_package(shared: World, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise ImportError('not me')\n")
    found = examined(shared, rc=1, PYTHONPATH=str(tmp_path))
    assert names(found, "fail") == {"shadowed imports"}
    assert str(tmp_path / name).removesuffix("/__init__.py") in found["shadowed imports"]["finding"]


@pytest.mark.models
def test_a_package_of_a_version_that_does_not_fit(shared: World, tmp_path: Path) -> None:
    folder = tmp_path / "safetensors-0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: safetensors\nVersion: 0.1\n")
    found = examined(shared, PYTHONPATH=str(tmp_path))
    assert "safetensors 0.1 (needed: >=0.7)" in found["extras"]["finding"]
    examined(shared, "--strict", rc=1, PYTHONPATH=str(tmp_path))


@pytest.mark.slow
def test_few_open_files(shared: World) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)); "
        "from ranvier.neurons.cli import main; main(['doctor'])"
    )
    environment = {**shared.environment(), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "at most 200" in done.stdout
    assert "LimitNOFILE" in done.stdout
