"""The scripts that documents are made with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ranvier.neurons.localnet.cast import Kind
from ranvier.neurons.localnet.report import MinerRow, NetworkReport, SubnetReport

ROOT = Path(__file__).resolve().parents[2]


def test_a_report_is_drawn_as_its_table(tmp_path: Path) -> None:
    row = MinerRow(name="honest-1", hotkey="a", kind=Kind.HONEST, uid=4, earned=5 * 10**9)
    subnet = SubnetReport(name="puzzle", netuid=1, miners=(row,))
    report = NetworkReport(version="0", seed=7, block_time=1, tempo=20, subnets=(subnet,))
    (tmp_path / "report.json").write_text(report.model_dump_json())
    command = [sys.executable, ROOT / "scripts" / "capture", tmp_path / "report.json", tmp_path / "table.svg"]
    subprocess.run(command, check=True, timeout=60)
    drawn = (tmp_path / "table.svg").read_text()
    assert "honest-1" in drawn
    assert "5.0000" in drawn
    table = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reports", tmp_path / "report.json"],
        check=True, timeout=60, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "## Seed 7" in table
    assert "| puzzle | honest-1 | honest | 0 | 0 | 0 | 5.000 | 1.000 |" in table
