"""How much memory a family of processes holds, read from the operating system."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def resident(pids: Iterable[int]) -> int:
    """Bytes of memory that the processes hold together, shared pages counted once each time (PSS); 0 where unknown."""
    return sum(_proportional(pid) for pid in pids)


def _proportional(pid: int) -> int:
    """PSS of one process in bytes, else its RSS, else 0 (ended, or no /proc on this system)."""
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = (PROC / str(pid) / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return 0
