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
from typer.testing import CliRunner

from ranvier.engines.meter import EngineMeter
from ranvier.engines.server import STOP_SECONDS
from ranvier.engines.upstream.meter import UpstreamMeter
from ranvier.neurons.cli import app
from ranvier.neurons.config import MinerSettings
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
ENGINE_LABELS = {
    "ranvier_engine_requests_total": "end",
    "ranvier_engine_device": "name",
    "ranvier_engine_device_bytes": "state",
    "ranvier_engine_worker_bytes": "state",
    "ranvier_engine_upstream_failures_total": "invalid",
}
"""Beside the own ones of a model (kind, model), a worker, a device or an upstream."""


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
    # A chain that is away for an hour is no reason to give up for good.
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0"
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


def metrics() -> dict[str, tuple[str, str, str]]:
    """Kind, label beside the own ones, and help by full name."""
    found = {f"ranvier_{name}": (one.kind, one.label or "", one.help) for name, one in METRICS.items()}
    front = UpstreamMeter()
    front.watch(list, list, list)
    for registry in (EngineMeter().registry, front.registry):
        for one in registry.collect():
            name = f"{one.name}_total" if one.type == "counter" else one.name
            found[name] = (one.type, ENGINE_LABELS.get(name, ""), one.documentation)
    return found


def test_every_metric_is_documented_as_it_is() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    shown = re.findall(r"^\| `(ranvier_\w+)` \| (\w+) \| (\w*) \| (.+) \|$", page, re.MULTILINE)
    assert {name: tuple(rest) for name, *rest in shown} == metrics()


@pytest.mark.parametrize("name", ["prometheus/alerts.yaml", "grafana/ranvier.json"])
def test_alerts_and_dashboard_name_metrics_that_exist(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text()
    named = set(re.findall(r"(ranvier_(?:miner|validator|engine)_\w+)", text))
    known = metrics()
    assert len(named) >= 10
    assert named <= known.keys() | {
        f"{one}_bucket" for one, (kind, *_) in known.items() if kind == "histogram"
    }
    for metric in re.findall(r"(ranvier_\w+)[{[)]", text):
        plain = metric.removesuffix("_bucket")
        assert ("rate(" + metric in text or "increase(" + metric in text) == (known[plain][0] != "gauge"), (
            metric
        )


def test_the_dashboard_has_a_place_for_every_panel() -> None:
    panels = json.loads((ROOT / "deploy" / "grafana" / "ranvier.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_an_alert_says_what_to_do() -> None:
    yaml = pytest.importorskip("yaml")
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["expr"]
        assert rule["annotations"].keys() == {"summary", "action"}
        for command in re.findall(r"`ranvier (\w+)", rule["annotations"]["action"]):
            assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command


def test_names_follow_the_convention() -> None:
    for name, (kind, label, text) in metrics().items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert kind != "histogram" or name.endswith("_seconds"), name
        assert text
        assert "|" not in label + text


def test_the_upgrade_page_knows_the_schema() -> None:
    assert f"| {VERSION} | " in (ROOT / "docs" / "upgrading.md").read_text()


def test_the_image_is_built_by_the_script_that_ci_runs() -> None:
    assert "RUN scripts/install" in (ROOT / "Dockerfile").read_text()
    assert "scripts/install" in (ROOT / "Makefile").read_text()


def test_compose_runs_every_role_without_rights() -> None:
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert set(services) == {"models", "chain", "engine", "miner", "validator"}
    for name, service in services.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"].startswith("10001")
        assert service["stop_grace_period"] == "60s"
        assert name == "models" or service["healthcheck"]["test"][0] == "CMD"
        assert service["command"].split()[0] in ("models", name)
    for name in ("miner", "validator"):
        needs = services[name]["depends_on"]
        assert needs["engine"]["condition"] == "service_healthy"
        assert needs["chain"]["required"] is False


@pytest.mark.parametrize("role", ["engine", "miner", "validator", "chain"])
def test_compose_gives_flags_that_exist(role: str) -> None:
    yaml = pytest.importorskip("yaml")
    words = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"][role]["command"].split()
    shown = CliRunner().invoke(app, [role, "--help"], env={"COLUMNS": "200"}).output
    for flag in (word for word in words if word.startswith("--")):
        assert flag in shown


def test_a_stop_leaves_time_to_drain() -> None:
    for path in UNITS:
        assert int(unit(path)["Service"]["TimeoutStopSec"]) > STOP_SECONDS
        assert int(unit(path)["Service"]["TimeoutStopSec"]) >= 2 * MinerSettings.model_fields["drain"].default
