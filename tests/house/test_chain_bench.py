"""The chain's benchmark runs: every case with tiny counts, so that it cannot rot between two releases."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "benchmarks" / "chain"
BEGIN, END = "<!-- begin: python benchmarks/chain -->", "<!-- end -->"


def test_every_case_runs_and_lands_in_the_page(tmp_path: Path) -> None:
    page, written = tmp_path / "page.md", tmp_path / "figures.json"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    done = subprocess.run(
        [sys.executable, str(BENCH), "--quick", "--json", str(written), "--docs", str(page)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = {figure["name"]: figure for figure in json.loads(written.read_text())["figures"]}
    forms = ("2024", "2024, liquid alpha", "y2", "y3", "y3, liquid alpha")
    assert {f"exact epoch, 256 neurons x 64 validators, {form}" for form in forms} <= figures.keys()
    # The one other draw of a quick run has no spread.
    assert all(figure["value"] > 0 or "spread of 1 other" in name for name, figure in figures.items())
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text.splitlines()
    assert "| exact epoch, 256 neurons x 64 validators, 2024 |" in text
