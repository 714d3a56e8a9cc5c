"""A soak: a network with churn over real sockets for thousands of rounds; nothing may grow, nothing may complain.

``python tests/faults/test_soak.py 2000 docs/reports/soak-2000.json`` runs it alone and keeps the report.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ranvier.testing import ChainStops, Fault, Hang, Lab, Leave, Lie, Replace, Return

ROOT = Path(__file__).resolve().parents[2]
CYCLE = 20
"""Rounds after which the churn begins anew."""
PIECE = 20
"""Rounds between two samples."""
MEGABYTE = 1 << 20


def churn(rounds: int) -> Iterator[Fault]:
    """In every cycle somebody leaves, hangs, lies and is replaced, a validator restarts and the chain stops."""
    seated, count = "honest-4", 0
    for begin in range(0, rounds, CYCLE):
        yield Leave(begin + 1, "honest-2")
        yield Return(begin + 4, "honest-2")
        yield Hang(begin + 5, "honest-3")
        yield Return(begin + 7, "honest-3")
        yield Lie(begin + 8, "honest-3")
        yield Return(begin + 10, "honest-3")
        yield ChainStops(begin + 11, 3)
        yield Replace(begin + 13, seated)
        yield Leave(begin + 14, seated)
        seated, count = f"honest-4-successor-{count + 1}", count + 1
        yield Leave(begin + 16, "validator-2")
        yield Return(begin + 17, "validator-2")


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors() -> int:
    """File descriptors that this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


def slope(samples: list[dict[str, Any]], key: str) -> float:
    """Least squares over the samples after the first quarter: growth for each 100 rounds."""
    late = samples[len(samples) // 4 :]
    mean_x = sum(one["rounds"] for one in late) / len(late)
    mean_y = sum(one[key] for one in late) / len(late)
    spread = sum((one["rounds"] - mean_x) ** 2 for one in late)
    return 100 * sum((one["rounds"] - mean_x) * (one[key] - mean_y) for one in late) / spread


class Complaints(logging.Handler):
    """What asyncio and the interpreter said."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())

    def unraisable(self, what: Any) -> None:
        self.said.append(f"{what.exc_type.__name__}: {what.exc_value}: {what.object!r}")

    def listen(self) -> None:
        logging.getLogger("asyncio").addHandler(self)
        logging.getLogger("ranvier").setLevel(logging.CRITICAL)
        sys.unraisablehook = self.unraisable
        warnings.simplefilter("error")


def soak(rounds: int) -> dict[str, Any]:
    sys.path.insert(0, str(ROOT / "tests" / "neurons" / "plugins"))
    from sums import SumSubnet

    complaints = Complaints()
    complaints.listen()
    began = time.perf_counter(), time.process_time()
    before = descriptors()
    samples = []
    with Lab(SumSubnet, honest=4, faults=list(churn(rounds)), sockets=True) as lab:
        for done in range(PIECE, rounds + 1, PIECE):
            report = lab.run(PIECE)
            held = descriptors()
            samples.append({"rounds": done, "memory": resident(), "descriptors": held, "tasks": lab.tasks})
    resident()
    return {
        "rounds": rounds,
        "seconds": round(time.perf_counter() - began[0], 1),
        "cpu_seconds": round(time.process_time() - began[1], 1),
        "memory_mb_per_100_rounds": round(slope(samples, "memory") / MEGABYTE, 4),
        "descriptors_per_100_rounds": round(slope(samples, "descriptors"), 4),
        "tasks_per_100_rounds": round(slope(samples, "tasks"), 4),
        "descriptors_left": descriptors() - before,
        "complaints": complaints.said,
        "missed_weights": sum(row.weights_missed for row in report.participants),
        "failures": report.failures(),
        "replaced": sum(row.uid is None for row in report.participants),
        "samples": samples,
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_rounds_with_churn_leave_nothing_behind(tmp_path: Path) -> None:
    check(run_alone(1000, tmp_path), 1000)


def test_a_hundred_rounds_with_churn_leave_nothing_behind(tmp_path: Path) -> None:
    found = run_alone(100, tmp_path)
    # Too short for a slope of memory: the allocator's steps would be taken for one.
    assert found["samples"][-1]["memory"] - found["samples"][2]["memory"] < 8 * MEGABYTE
    check(found | {"memory_mb_per_100_rounds": 0.0}, 100)


def run_alone(rounds: int, folder: Path) -> dict[str, Any]:
    path = folder / "soak.json"
    # Nothing is proved here about a disk that loses power: thousands of syncs would only take minutes.
    place = {"TMPDIR": "/dev/shm"} if Path("/dev/shm").is_dir() else {}
    done = subprocess.run(
        [sys.executable, __file__, str(rounds), str(path)],
        capture_output=True,
        text=True,
        timeout=580,
        env={**os.environ, **place},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return json.loads(path.read_text())


def check(found: dict[str, Any], rounds: int) -> None:
    assert found["complaints"] == []
    assert found["failures"] == []
    assert found["rounds"] == rounds
    assert found["replaced"] >= rounds // CYCLE
    assert found["memory_mb_per_100_rounds"] < 1.0
    assert abs(found["descriptors_per_100_rounds"]) < 1.0
    assert abs(found["tasks_per_100_rounds"]) < 1.0
    assert found["descriptors_left"] <= 0


if __name__ == "__main__":
    outcome = soak(int(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(outcome, indent=1) + "\n")
    sys.stdout.write(json.dumps({key: value for key, value in outcome.items() if key != "samples"}) + "\n")
