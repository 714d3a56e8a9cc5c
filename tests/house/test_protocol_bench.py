"""The wire's benchmark runs: every case with tiny counts, so that it cannot rot between two releases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "benchmarks" / "protocol"
BEGIN, END = "<!-- begin: python benchmarks/protocol -->", "<!-- end -->"


def bench(tmp_path: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    written = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, str(BENCH), "--quick", "--json", str(written), *options],
        capture_output=True,
        text=True,
        timeout=300,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    return done, json.loads(written.read_text()) if written.exists() else {}


@pytest.mark.slow
def test_every_case_runs_and_is_judged(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    done, found = bench(tmp_path, "--docs", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = found["rows"]
    official = {row["failure"] for row in rows if "official" in row["lane"]}
    assert official == {""} or all("make legacy" in failure for failure in official)
    ours = [row for row in rows if "official" not in row["lane"]]
    assert all(not row["failure"] and row["both_ms"] > 0 for row in ours), ours
    cases = {row["case"] for row in rows}
    assert cases == {"sequential", "concurrent", "fanout", "text", "frame", "stream", "sealed", "legacy"}
    assert {bar["case"] for bar in found["bars"]} == {"sequential", "concurrent", "fanout", "text", "frame"}
    assert all(bar["ratio"] for bar in found["bars"] if "official" not in bar["beside"])
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text.splitlines()
    assert "| 1 KB, 64 at once | bare aiohttp |" in text


def test_a_rival_that_dies_is_named_and_costs_only_its_own_lane(tmp_path: Path) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho 'no such package' >&2\nexit 3\n")
    dying.chmod(0o755)
    done, found = bench(tmp_path, "--only", "sequential", "--official", str(dying))
    assert done.returncode == 0, done.stdout + done.stderr
    by_lane = {row["lane"]: row for row in found["rows"]}
    assert by_lane["official 10.5.0"]["failure"] == "official server ended: no such package"
    assert by_lane["official 10.5.0"]["both_ms"] is None
    assert by_lane["Ranvier"]["both_ms"] > 0
    assert "no such package" in done.stdout


def test_an_interpreter_that_is_not_there_is_no_reason_to_go_on_without(tmp_path: Path) -> None:
    done, _ = bench(tmp_path, "--only", "sequential", "--official", str(tmp_path / "none"))
    assert done.returncode != 0
    assert "make legacy" in done.stderr
