"""What a process has taken of this machine, as the kernel counts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_UNITS: Final = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of memory and seconds of processor time. Weights that are read from a mapped file count as memory, too."""

    resident: int
    peak: int
    """The most that it ever was."""
    cpu_seconds: float


def usage_of(pid: int, proc: Path = Path("/proc")) -> Usage | None:
    """Of a running process; None where it is gone, and on systems without /proc."""
    folder = proc / str(pid)
    try:
        lines = (folder / "status").read_text().splitlines()
        ticks = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    found = {name: value for name, _, value in (line.partition(":") for line in lines)}
    if "VmRSS" not in found:  # it has ended and nobody has asked how
        return None
    resident, peak = (int(found[name].split()[0]) * _UNITS for name in ("VmRSS", "VmHWM"))
    return Usage(resident, peak, (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"))
