"""Whole networks as a user starts them: real processes, real sockets, real exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "ranvier.neurons.cli", "localnet"]


def run(*arguments: object, timeout: float = 100) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A lite network that ended by itself after two paid epochs."""
    folder = tmp_path_factory.mktemp("lite")
    done = run("--lite", "--epochs", 2, "--state", folder / "net", "--json", folder / "report.json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "honest work paid best" in done.stdout
    return folder, json.loads((folder / "report.json").read_text())


def test_honest_work_pays_best(finished: tuple[Path, dict[str, Any]]) -> None:
    (subnet,) = finished[1]["subnets"]
    earned = {row["kind"]: row["earned"] for row in subnet["miners"]}
    assert subnet["epochs"] >= 2
    assert min(earned["honest"], earned["honest, slower"]) > 0
    for cheat in ("relay", "free", "pet"):
        assert earned[cheat] * 50 <= earned["honest, slower"]
    assert earned["cheaper work"] * 5 <= earned["honest, slower"]


def test_every_process_ended(finished: tuple[Path, dict[str, Any]]) -> None:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(finished[0]) not in listed


def test_wallets_are_official_files_of_their_owner(finished: tuple[Path, dict[str, Any]]) -> None:
    wallets = finished[0] / "net" / "wallets"
    (hotkey,) = (wallets / "puzzle-honest-1" / "hotkeys").glob("default")
    assert set(json.loads(hotkey.read_text())) >= {"accountId", "publicKey", "privateKey", "ss58Address"}
    assert hotkey.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_a_second_run_goes_on_and_fresh_starts_anew(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, before = finished
    again = run("--lite", "--epochs", 1, "--state", folder / "net", "--json", folder / "again.json")
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr
    assert json.loads((folder / "again.json").read_text())["block"] > before["block"]
    anew = run("--lite", "--epochs", 1, "--state", folder / "net", "--fresh", "--json", folder / "anew.json")
    assert anew.returncode == 0, anew.stdout[-3000:] + anew.stderr
    assert json.loads((folder / "anew.json").read_text())["block"] < before["block"] + 20


def test_other_settings_than_the_stored_ones_are_refused(finished: tuple[Path, dict[str, Any]]) -> None:
    done = run("--lite", "--epochs", 1, "--tempo", 33, "--state", finished[0] / "net")
    assert done.returncode == 18
    assert "Add --fresh" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A lite network that runs until it is told to stop."""
    process = subprocess.Popen(
        [*COMMAND, "--lite", "--state", str(tmp_path / "net")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not list((tmp_path / "net" / "logs").glob("*validators.log")) and time.monotonic() < end:
        time.sleep(0.1)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_ctrl_c_stops_cleanly_and_two_networks_do_not_share_a_folder(
    running: subprocess.Popen[str], tmp_path: Path
) -> None:
    second = run("--lite", "--epochs", 1, "--state", tmp_path / "net")
    assert second.returncode == 18
    assert "another localnet runs" in second.stderr
    os.kill(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, out[-2000:] + err
    assert "Traceback" not in err
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in listed


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_network_with_the_real_text_model(tmp_path: Path) -> None:
    """Seeded sampling proves SmolLM2's answers, and finds the pruned model, the relay and the prefill attack out."""
    arguments = ("--subnet", "text", "--epochs", 2, "--tempo", 45, "--state", tmp_path / "net")
    done = run(*arguments, "--json", tmp_path / "report.json", timeout=550)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["peak_memory"] < 6 << 30
    (subnet,) = report["subnets"]
    assert all(row["verified"] == 0 for row in subnet["miners"] if row["kind"] in ("relay", "free", "pet"))
