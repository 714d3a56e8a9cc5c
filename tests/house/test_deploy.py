"""What operators copy: units, compose file, alerts and dashboard agree with the code and with the documents."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ranvier.neurons.exits import ExitCode
from ranvier.neurons.metrics import METRICS
from ranvier.neurons.state.schema import VERSION

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
PASSING = {
    ExitCode.OK,
    ExitCode.UNEXPECTED,
    ExitCode.CHAIN_UNREACHABLE,
    ExitCode.CHAIN_REFUSED,
    ExitCode.PORT_OCCUPIED,
    ExitCode.ENGINE_UNREACHABLE,
    ExitCode.NOT_PROVEN,
    ExitCode.LOCALNET,
    ExitCode.INTERRUPTED,
}
"""Codes after which another start may help, or that a service never ends with."""


def unit(path: Path) -> Any:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


def test_there_is_a_unit_for_each_role() -> None:
    assert [path.name for path in UNITS] == [
        "ranvier-engine.service",
        "ranvier-miner.service",
        "ranvier-validator.service",
    ]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_restarts_only_where_that_can_help(path: Path) -> None:
    service = unit(path)["Service"]
    prevented = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert prevented == {int(code) for code in ExitCode} - {int(code) for code in PASSING}
    assert service["Restart"] == "on-failure"
    assert service["NoNewPrivileges"] == "yes"
    role = path.stem.removeprefix("ranvier-")
    assert service["ExecStart"].endswith(f"ranvier {role} --config /etc/ranvier/{role}.toml")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_pleases_systemd(path: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    here = tmp_path / path.name
    here.write_text(path.read_text().replace("/opt/ranvier/venv/bin/ranvier", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here)], capture_output=True, text=True, timeout=60
    )
    assert path.name not in done.stderr, done.stderr


def test_every_exit_code_is_documented() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    for code in ExitCode:
        assert f"| {int(code)} | `{code.name}` |" in page


def test_every_metric_is_documented_as_it_is() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    shown = re.findall(r"^\| `ranvier_(\w+)` \| (\w+) \| (\w*) \| (.+) \|$", page, re.MULTILINE)
    assert shown == [(name, one.kind, one.label or "", one.help) for name, one in METRICS.items()]


@pytest.mark.parametrize("name", ["prometheus/alerts.yaml", "grafana/ranvier.json"])
def test_alerts_and_dashboard_name_metrics_that_exist(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text()
    named = set(re.findall(r"ranvier_((?:miner|validator)_\w+)", text))
    histograms = {f"{one}_bucket" for one, metric in METRICS.items() if metric.kind == "histogram"}
    assert len(named) >= 6
    assert named <= METRICS.keys() | histograms
    if name.endswith(".json"):
        panels = json.loads(text)["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)


def test_counters_end_in_total_and_nothing_else_does() -> None:
    for name, metric in METRICS.items():
        assert name.endswith("_total") == (metric.kind == "counter"), name


def test_the_upgrade_page_knows_the_schema() -> None:
    assert f"| {VERSION} | " in (ROOT / "docs" / "upgrading.md").read_text()


def test_the_image_is_built_by_the_script_that_ci_runs() -> None:
    assert "RUN scripts/install" in (ROOT / "Dockerfile").read_text()
    assert "scripts/install" in (ROOT / "Makefile").read_text()
    compose = (ROOT / "compose.yaml").read_text()
    for role in ("chain", "engine", "miner", "validator"):
        assert re.search(rf"^  {role}:$", compose, re.MULTILINE)
    assert compose.count("healthcheck:") == 4
